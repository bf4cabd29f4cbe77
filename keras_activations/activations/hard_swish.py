"""The piecewise quadratic form of swish."""

import keras
from keras import ops

from keras_activations.activations.casting import as_float, dtype_of, is_half
from keras_activations.activations.gradients import custom_gradient


@keras.saving.register_keras_serializable(package="keras_activations")
def hard_swish(x):
    """Piecewise quadratic form of swish, without an exponential.

    Formula: `x * (relu6(x + 3) / 6)`

    TensorFlow Lite turns this form into its one operation HARD_SWISH. The price
    is that `-inf` gives NaN, where the limit is 0; no finite input does. The relative
    error is at most 2e-7 in float32; float16 and bfloat16 are rounded once.

    Args:
        x: float tensor of any shape.

    Returns:
        A tensor of the shape and dtype of `x`, at least -0.375.

    Reference:

    - [Howard et al., 2019](https://arxiv.org/abs/1905.02244)

    Example:

    >>> [round(float(v), 4) for v in hard_swish([-1.5, 1.5, 4.0])]
    [-0.375, 1.125, 4.0]
    """
    if isinstance(x, keras.KerasTensor):
        return HardSwish()(x)
    x = as_float(x)
    return _half(x) if is_half(x) else _value(x)


@keras.saving.register_keras_serializable(package="keras_activations")
class HardSwish(keras.layers.Layer):
    """Applies the piecewise quadratic form of swish.

    Formula: `x * (relu6(x + 3) / 6)`; `-inf` gives NaN, no finite input does.

    Args:
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Reference:

    - [Howard et al., 2019](https://arxiv.org/abs/1905.02244)

    Example:

    >>> x = keras.ops.convert_to_tensor([-1.5, 1.5, 4.0])
    >>> [round(float(v), 4) for v in HardSwish()(x)]
    [-0.375, 1.125, 4.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return hard_swish(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def _value(x):
    # Dividing first: x * relu6(x + 3) overflows from a sixth of the largest float.
    return x * (ops.relu6(x + 3.0) / 6.0)


@custom_gradient
def _half(x):
    """The function of a half tensor, of which nothing but `x` is kept."""

    def backward(upstream):
        # Half precision is enough here: next to the slope's zero the sum is exact.
        middle = ops.abs(x) < 3.0
        slope = ops.where(middle, (x + 1.5) / 3.0, ops.cast(x > 0.0, dtype_of(x)))
        return upstream * slope

    # Three roundings to a half would add up to 1.8 units in the last place.
    return ops.cast(_value(ops.cast(x, "float32")), dtype_of(x)), backward
