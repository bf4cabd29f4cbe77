"""The Gaussian error linear unit, right in its negative tail."""

import math

import keras
from keras import ops

from keras_activations.activations.casting import as_float, dtype_of, is_half
from keras_activations.activations.gradients import in_float32, keeping_parts
from keras_activations.activations.onnx import teach_tf2onnx

# Its export to ONNX would lack erfc.
teach_tf2onnx()


@keras.saving.register_keras_serializable(package="keras_activations")
def stable_gelu(x, approximate=False):
    """Gaussian error linear unit that is right in its negative tail.

    Formula: `0.5 * x * erfc(-x / sqrt(2))`, or where `approximate`
    `x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x**3))`, which is
    `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))` without its
    cancellation.

    In float32 the relative error of the value is below 2e-5 and that of the
    gradient below 5e-5, down to where the value itself underflows, near
    x = -13 (-10 where `approximate`). float16 and bfloat16 are computed in float32
    and rounded once. `-inf` gives the limit, 0.

    Args:
        x: float tensor of any shape.
        approximate: bool, whether to use the second formula. It differs from the
            first by at most 5e-4. For TensorFlow Lite take the first, which is one
            operation there: no formula with a right tail becomes the other GELU
            that it knows, and this one has no int8 form. Defaults to `False`.

    Returns:
        A tensor of the shape and dtype of `x`, at least -0.17004.

    Reference:

    - [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415)

    Example:

    >>> [f"{float(v):.4g}" for v in stable_gelu([-10.0, -1.0, 1.0])]
    ['-7.62e-23', '-0.1587', '0.8413']
    """
    if isinstance(x, keras.KerasTensor):
        return StableGELU(approximate)(x)
    x = as_float(x)
    formula = _approximate if approximate else _exact
    return in_float32(x, formula) if is_half(x) else keeping_parts(x, formula)


@keras.saving.register_keras_serializable(package="keras_activations")
class StableGELU(keras.layers.Layer):
    """Applies the Gaussian error linear unit, right in its negative tail.

    Formula: `0.5 * x * erfc(-x / sqrt(2))`, or where `approximate`
    `x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x**3))`.

    Args:
        approximate: bool, whether to use the second formula. Defaults to `False`.
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Raises:
        ValueError: if `approximate` is not a bool.

    Reference:

    - [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415)

    Example:

    >>> x = keras.ops.convert_to_tensor([-10.0, -1.0, 1.0])
    >>> [f"{float(v):.4g}" for v in StableGELU()(x)]
    ['-7.62e-23', '-0.1587', '0.8413']
    """

    def __init__(self, approximate=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(approximate, bool):
            raise ValueError(
                "`approximate` must be True or False. "
                f"Received: approximate={approximate!r}"
            )
        self.approximate = approximate
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return stable_gelu(inputs, self.approximate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "approximate": self.approximate}


def _exact(x):
    # Below the bound erfc is 0, and -inf * 0 would be NaN.
    x = ops.maximum(x, -39.0 if dtype_of(x) == "float64" else -15.0)
    # TensorFlow Lite knows this order of operations, sign and all, as its GELU.
    tail = ops.erfc(-x * math.sqrt(0.5))

    def slope():
        density = ops.exp(-0.5 * x * x) * math.sqrt(0.5 / math.pi)
        return 0.5 * tail + x * density

    return 0.5 * x * tail, slope


def _approximate(x):
    # Below the bound the exponential is infinite and the value -0; above it the
    # slope is 1, and a greater cube would overflow.
    bound = 22.0 if dtype_of(x) == "float64" else 11.0
    x = ops.maximum(x, -bound)
    scale = 2 * math.sqrt(2 / math.pi)
    # tf.sigmoid in float32 is 3 % off in the negative tail; this is as good as exp.
    divisor = 1.0 + ops.exp(x * (x * x * (-0.044715 * scale) - scale))

    def slope():
        rest = 1.0 - 1.0 / divisor
        c = ops.minimum(x, bound)
        steepness = c * c * (3 * 0.044715 * scale) + scale
        # Dividing last: in the tail 1 / divisor is subnormal long before the slope.
        return (1.0 + rest * c * steepness) / divisor

    return x / divisor, slope
