"""Outputs that TensorFlow computes together with what reads them.

A further reader would keep the two apart, and apart they round differently: the run
would no longer be the one without a monitor. So nothing reads these outputs, as nothing
reads the pre-activation of `Dense(8, "tanh")`. NaN in them is in what comes of them as well.
Where they are to be counted or sampled, which is rare, their operations are repeated.
"""

import tensorflow as tf

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
_ARITHMETIC = {"Add", "AddV2", "AddN", "Sub", "Mul", "Div", "RealDiv", "Neg"}


def fused(record):
    """Ids of the outputs in a `StepRecord` that are not to be read."""
    if record.graph is None:
        return set()
    return {id(tensor) for _, tensor in record.outputs if _is_fused(tensor)}


def repeated(tensor):
    """The same values, of operations of their own."""
    operation = tensor.op
    inputs = [repeated(x) if _is_fused(x) else x for x in operation.inputs]
    attributes = operation.node_def.attr
    copy = tf.compat.v1.get_default_graph().create_op(
        operation.type,
        inputs,
        [output.dtype for output in operation.outputs],
        # Others are about where and how that one operation runs.
        attrs={name: attributes[name] for name in attributes if name[0] != "_"},
        op_def=operation.op_def,
    )
    return copy.outputs[tensor.value_index]


def _is_fused(tensor):
    made_by = tensor.op.type
    read_by = [operation.type for operation in tensor.consumers()]
    if made_by in _KERNELS:
        return bool(read_by) and _TAKEN_IN.issuperset(read_by)
    one = len(read_by) == 1
    return one and made_by in _ARITHMETIC and _ARITHMETIC.issuperset(read_by)
