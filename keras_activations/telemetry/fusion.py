"""What TensorFlow computes together with what reads it.

A further reader would keep the two apart, and apart they round differently: the run
would no longer be the one without a monitor. So nothing reads these outputs, as nothing
reads the pre-activation of `Dense(8, "tanh")`. NaN in them is in what comes of them as well.
Where they are to be counted or sampled, which is rare, their operations are repeated.

Gradients that arithmetic makes, like that of the scale of a batch normalisation, are
multiplied by the learning rate in another order where nothing else reads them. Of these
a copy is read.
"""

import tensorflow as tf

from keras_activations.telemetry.sampling import called_whole
from keras_activations.telemetry.xla import in_a_loop, origin

# What TensorFlow's `remapper.cc` makes one kernel of: with one of these operations, or with
# several that are an activation like GELU or hard-swish. Not with ReLU: apart it rounds as
# in one kernel, which makes 0 of NaN, so that nothing else would tell of it.
_KERNELS = {"MatMul", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "BiasAdd"}
_TAKEN_IN = {
    "BiasAdd",
    "Add",
    "AddV2",
    "Elu",
    "Erf",
    "Erfc",
    "LeakyRelu",
    "Maximum",
    "Mul",
    "Neg",
    "Pow",
    "RealDiv",
    "Sigmoid",
    "Softplus",
    "Square",
    "Sub",
    "Tanh",
}
# Of which `arithmetic_optimizer.cc` and `constant_folding.cc` change the order.
_SUMS = {"Add", "AddV2", "AddN", "Sub", "Neg"}
_ARITHMETIC = {*_SUMS, "Mul", "Div", "RealDiv"}
# What a gradient asks of a tensor whose batch is of any size; TensorFlow finds it elsewhere.
_OF_SHAPES = {"Shape", "ShapeN", "Size", "Rank"}


def fused(record):
    """Ids of the outputs in a `StepRecord` that are not to be read."""
    if record.graph is None:
        return set()
    return {id(x) for _, x in record.outputs if _is_fused(x, record.xla)}


def repeated(tensor, xla=False, there=lambda tensor: tensor):
    """The same values, of operations of their own.

    Args:
        tensor: one of those that are not read.
        xla: bool, the step may be compiled by XLA. Defaults to False.
        there: callable `tensor -> tensor`, what to take for each of
            `inputs_of_repeated`. Defaults to itself.
    """
    # A tensor may be read on many ways, and lie behind more than Python can recurse.
    copies: dict[int, tf.Tensor] = {}
    waiting = [origin(tensor)]
    while waiting:
        x = waiting[-1]
        if id(x) in copies:
            waiting.pop()
            continue
        parts = [origin(y) if _is_fused(y, xla) else None for y in x.op.inputs]
        missing = [y for y in parts if y is not None and id(y) not in copies]
        waiting += missing
        if not missing:
            inputs = [
                there(given) if part is None else copies[id(part)]
                for given, part in zip(x.op.inputs, parts, strict=True)
            ]
            copies[id(x)] = _same_operation(x.op, inputs).outputs[x.value_index]
    return copies[id(origin(tensor))]


def _same_operation(operation, inputs):
    attributes = operation.node_def.attr
    return tf.compat.v1.get_default_graph().create_op(
        operation.type,
        inputs,
        [output.dtype for output in operation.outputs],
        # Others are about where and how that one operation runs.
        attrs={name: attributes[name] for name in attributes if name[0] != "_"},
        op_def=operation.op_def,
    )


def inputs_of_repeated(tensor, xla):
    """What `repeated` begins with."""
    seen, waiting = {}, [tensor]
    while waiting:
        for x in origin(waiting.pop()).op.inputs:
            if id(x) not in seen:
                seen[id(x)] = x
                waiting += [x] if _is_fused(x, xla) else []
    return [x for x in seen.values() if not _is_fused(x, xla)]


def apart(tensors):
    """The tensors, with copies of those that may be computed with what reads them.

    Args:
        tensors: list of tensors that are read already, or will be.
    """
    joined = [x for x in tensors if _may_be_joined(x)]
    if not joined:
        return tensors
    # Beside the operations that it repeats TensorFlow would see that one will do.
    copies = called_whole(lambda: [repeated(x) for x in joined])()
    known = {id(x): copy for x, copy in zip(joined, copies, strict=True)}
    return [known.get(id(x), x) for x in tensors]


def _may_be_joined(tensor):
    # Arithmetic that goes on in such, as far as is known by now; a sum does only in sums.
    # How many read it does not tell: Keras makes some operations twice, of which TensorFlow
    # leaves one.
    if tf.executing_eagerly() or tensor.op.type not in _ARITHMETIC:
        return False
    read_by = set(_readers(tensor))
    joins = not read_by or tensor.op.type not in _SUMS or bool(read_by & _SUMS)
    return joins and _ARITHMETIC.issuperset(read_by)


def _readers(tensor):
    """Types of the operations that read a tensor, or an identity of it, one for each."""
    found = []
    for operation in tensor.consumers():
        if operation.type in ("Identity", "IdentityN"):
            inputs = [id(x) for x in operation.inputs]
            found += _readers(operation.outputs[inputs.index(id(tensor))])
        elif operation.type not in _OF_SHAPES:
            found.append(operation.type)
    return found


def _is_fused(tensor, xla):
    return _is_fused_by_grappler(tensor) or xla and in_a_loop(tensor)


def _is_fused_by_grappler(tensor):
    made_by, read_by = origin(tensor).op.type, _readers(tensor)
    if made_by in _KERNELS:
        return bool(read_by) and _TAKEN_IN.issuperset(read_by)
    one = len(read_by) == 1
    return one and made_by in _ARITHMETIC and _ARITHMETIC.issuperset(read_by)
