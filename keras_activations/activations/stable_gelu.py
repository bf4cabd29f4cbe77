"""The Gaussian error linear unit, right in its negative tail."""

import math

import keras
from keras import ops

from keras_activations.activations.casting import as_float


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
    and rounded once.

    Args:
        x: float tensor of any shape.
        approximate: bool, whether to use the second formula. It differs from the
            first by at most 5e-4. Defaults to `False`.

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
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in ("float16", "bfloat16"):
        return ops.cast(stable_gelu(ops.cast(x, "float32"), approximate), dtype)
    if not approximate:
        # Below the bound erfc is 0, and -inf * 0 would be NaN.
        x = ops.maximum(x, -39.0 if dtype == "float64" else -15.0)
        # TensorFlow Lite knows this order of operations as its GELU.
        return 0.5 * x * _erfc(-x * math.sqrt(0.5))
    # Beyond the bound the logistic is 0 or 1, and the cube would overflow.
    bound = 22.0 if dtype == "float64" else 11.0
    x = ops.maximum(x, -bound)
    c = ops.minimum(x, bound)
    scale = 2 * math.sqrt(2 / math.pi)
    return x * _logistic(scale * c * (1 + 0.044715 * c * c))


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


def _logistic(t):
    # tf.sigmoid in float32 is 3 % off in the negative tail; this is as good as
    # exp, and neither branch nor its derivative can overflow.
    return ops.exp(ops.minimum(t, 0.0)) / (1.0 + ops.exp(-ops.abs(t)))


# Chebyshev interpolation of log(erfc(z) / t) + z**2 in t = 2 / (2 + z), for z from
# 0 to infinity, by mpmath: relative error of erfc below 1.1e-7. Constant first.
_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.0967841895,
    -0.186288062,
    0.278868084,
    -1.135204,
    1.48851589,
    -0.822152234,
    0.170872778,
)


def _erfc(z):
    if hasattr(ops, "erfc"):
        return ops.erfc(z)
    # Older Keras has only erf, and 1 - erf(z) is 0 from z = 4 on.
    a = ops.abs(z)
    t = 2.0 / (2.0 + a)
    series = _ERFC[-1]
    for coefficient in reversed(_ERFC[:-1]):
        series = coefficient + t * series
    tail = t * ops.exp(series - a * a)
    return ops.where(z < 0, 2.0 - tail, tail)
