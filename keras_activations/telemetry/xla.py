"""What XLA leaves alone: outputs that it keeps as a whole, whoever else reads them.

XLA makes one loop of operations that work on entries, sums among them, and rounds but once
where a product goes on in a sum. A further reader can keep such a loop from being made.
What goes into a matrix product or a convolution is kept as a whole anyway, and so is what
comes out of one, or of a loop, or is drawn at random. All else is worked out anew from
these where it is to be counted or sampled.
"""

import tensorflow as tf

try:
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
except ImportError:  # no public name tells; what follows is right without XLA as well
    GraphOrParentsInXlaContext = None

_WHOLE = ("MatMul", "Conv", "Einsum", "MaxPool", "While")
_MOVES = {
    "ConcatV2",
    "ExpandDims",
    "Identity",
    "IdentityN",
    "Pad",
    "Reshape",
    "Squeeze",
    "StridedSlice",
    "Transpose",
}
_NOT_VALUES = (tf.resource, tf.variant)


def traces_for_xla():
    """Whether what is being traced will be compiled by XLA, or may be."""
    if GraphOrParentsInXlaContext is None:
        return True
    return GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def in_a_loop(tensor):
    """Whether XLA may compute a tensor in one loop with what reads it."""
    made_by = origin(tensor, _MOVES - {"ConcatV2"}).op
    if made_by.type == "Const":
        return True
    takes_part = _repeatable(made_by) and not _is_whole(made_by)
    return takes_part and not _goes_whole(tensor)


def origin(tensor, through=("Identity", "IdentityN")):
    """What a tensor is an identity of; functions with a gradient of their own end so.

    Args:
        tensor: a tensor.
        through: types of operations to look behind.
    """
    while tensor.op.type in through:
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def _repeatable(operation):
    random = "Random" in operation.type or "Multinomial" in operation.type
    calls = any(attribute.type == "func" for attribute in operation.op_def.attr)
    return (
        len(operation.inputs) > 0
        and not (operation.op_def.is_stateful or random or calls)
        and not any(x.dtype in _NOT_VALUES for x in operation.inputs)
    )


def _is_whole(operation):
    return any(name in operation.type for name in _WHOLE)


def _goes_whole(tensor):
    """Whether something takes a tensor as a whole, as it is or moved to other places."""
    for operation in tensor.consumers():
        if _is_whole(operation):
            return True
        if operation.type == "IdentityN":
            place = [id(x) for x in operation.inputs].index(id(tensor))
            moved = operation.outputs[place : place + 1]
        else:
            moved = operation.outputs if operation.type in _MOVES else []
        if any(map(_goes_whole, moved)):
            return True
    return False
