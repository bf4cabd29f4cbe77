"""Which outputs need no sentinel of their own: NaN or Inf in them shows elsewhere too.

Reading a large output once more takes a few hundredths of a step. It can be left out for

- what a layer multiplies with all of its kernel: each entry is a factor in a sum that
  is the kernel's gradient, and `0 * inf` is NaN as well. That gradient is watched.
- queries, keys and values of attention, which are such factors in each other's kernels'.
- what comes, finite, of finite inputs, where those are outputs that are watched.

Where neither is certain, an output is watched itself.
"""

import keras

from keras_activations.activations.clipped_tanh import ClippedTanh
from keras_activations.activations.hard_swish import HardSwish
from keras_activations.activations.relu6 import ReLU6
from keras_activations.activations.stable_gelu import StableGELU

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
# The variable that all of the input is a factor of.
_KERNELS = {
    keras.layers.Dense: "_kernel",
    keras.layers.EinsumDense: "_kernel",
    keras.layers.Conv1D: "_kernel",
    keras.layers.Conv2D: "_kernel",
    keras.layers.Conv3D: "_kernel",
    keras.layers.DepthwiseConv1D: "kernel",
    keras.layers.DepthwiseConv2D: "kernel",
    keras.layers.BatchNormalization: "gamma",
    keras.layers.LayerNormalization: "gamma",
    keras.layers.RMSNormalization: "scale",
}
_ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
_FINITE_OF_FINITE = {
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.Softmax,
    ClippedTanh,
    HardSwish,
    ReLU6,
    StableGELU,
}
# Not among them: what may overflow, as Keras's approximate GELU does in float16.
_BOUNDED = {
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.hard_sigmoid,
    keras.activations.hard_tanh,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.tanh,
}


def implied(record):
    """Ids of the outputs in a `StepRecord` that need no sentinel of their own."""
    watched = {id(tensor) for _, tensor in record.outputs} - record.fused
    given = {id(x) for layer, x, _ in record.calls if _in_a_gradient(layer, record)}
    projected = _shown_by_attention(record)
    return (
        given
        | {id(output) for layer, _, output in record.calls if id(layer) in projected}
        | {
            id(output)
            for layer, x, output in record.calls
            if id(x) in watched and output is not x and _finite_of_finite(layer)
        }
    )


def _shown_by_attention(record):
    """Ids of layers whose output stands in the gradient of another's kernel.

    With the scores `s = q k'` and the gradients `dk = ds' q` and `dq = ds k`, each query
    is a factor in what all keys learn, masked or not, and each key for the queries; each
    value goes into the sums that the output kernel multiplies.
    """
    ids = set()
    for layer, _, _ in record.calls:
        if type(layer) in _ATTENTION:
            query, key, value = layer._query_dense, layer._key_dense, layer._value_dense
            shows = ((query, key), (key, query), (value, layer._output_dense))
            ids |= {
                id(made)
                for made, reader in shows
                if _in_a_gradient(made, record) and _in_a_gradient(reader, record)
            }
    return ids


def _in_a_gradient(layer, record):
    kernel = _kernel(layer)
    return (
        kernel is not None
        and record.gradients_of_the_tape
        and any(kernel is variable for variable, _ in record.gradients)
        # Of two calls one may lead nowhere; the gradient is that of the other then.
        and sum(_kernel(other) is kernel for other, _, _ in record.calls) == 1
    )


def _kernel(layer):
    name = _KERNELS.get(type(layer))
    # In int8 and float8 an input may be clipped on its way.
    if name is None or getattr(layer, "quantization_mode", None) is not None:
        return None
    if isinstance(layer, _CONVOLUTIONS) and not _looks_everywhere(layer):
        return None
    return getattr(layer, name, None)


def _looks_everywhere(convolution):
    """Whether every position of the input is under some window."""
    windows = zip(convolution.strides, convolution.kernel_size, strict=True)
    whole = all(
        stride == 1 or convolution.padding == "same" and stride <= width
        for stride, width in windows
    )
    return whole and set(convolution.dilation_rate) == {1}


def _finite_of_finite(layer):
    if isinstance(layer, keras.layers.ReLU):
        return type(layer) is keras.layers.ReLU and not layer.negative_slope
    if type(layer) is keras.layers.Activation:
        return layer.activation in _BOUNDED
    return type(layer) in _FINITE_OF_FINITE
