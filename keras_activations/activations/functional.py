"""The four activations as pure functions of a tensor.

All of them take any float dtype, keep it, and give a finite value and a finite
gradient for every finite input. NaN stays NaN, so that a fault is seen where
it arises. Each one is registered, so `activation=hard_swish` in a Keras layer is
saved with the model and comes back as this very function.
"""

import math
import numbers

import keras
from keras import ops

_register = keras.saving.register_keras_serializable(package="keras_activations")

OUTSIDE_GRADIENTS = ("zero", "inward", "straight_through")

# The half types are computed in float32 and rounded: tanh may come within one
# unit in the last place of 1, p bits: atanh(1 - 2**-p) = log(2**(p + 1) - 1) / 2.
# TensorFlow's float32 and float64 tanh are rational and reach 1 early, at 7.91
# and 17.71: eight units, log(2**(p - 2) - 1) / 2.
GREATEST_LIMIT = {"bfloat16": 3.11, "float16": 4.15, "float32": 7.62, "float64": 17.67}


@_register
def clipped_tanh(x, limit=3.0, outside_gradient="zero"):
    """Hyperbolic tangent of an input clipped to where it still has slope.

    Formula: `tanh(clip(x, -limit, limit))`

    The output stays strictly inside (-1, 1), so that `atanh` or a logarithm of
    `1 - y` is finite. With the default limit `|y| <= 0.99506`, which bfloat16
    rounds to 0.99609, its greatest value below 1.

    Args:
        x: float tensor of any shape.
        limit: float, positive, finite and so small that its tanh stays below 1
            in the dtype of `x`: at most 3.11 for bfloat16, 4.15 for float16,
            7.62 for float32, 17.67 for float64. Defaults to `3.0`.
        outside_gradient: what is passed back to an input beyond the limit:
            `"zero"`, nothing, the derivative of the formula;
            `"inward"`, the upstream gradient times the slope at the limit where
            a descent step would move the input back inside, else nothing;
            `"straight_through"`, that product always.
            Defaults to `"zero"`.

    Returns:
        A tensor of the shape and dtype of `x`.

    Raises:
        ValueError: if `limit` or `outside_gradient` is not as above.

    Reference:

    - [Bengio et al., 2013](https://arxiv.org/abs/1308.3432), straight-through

    Example:

    >>> y = clipped_tanh([-100.0, 0.0, 3.0, 100.0])
    >>> [round(float(v), 5) for v in y]
    [-0.99505, 0.0, 0.99505, 0.99505]
    """
    check_clip(limit, outside_gradient)
    if isinstance(x, keras.KerasTensor):
        return _layer("ClippedTanh", limit, outside_gradient)(x)
    x = _as_float(x)
    check_limit(limit, keras.backend.standardize_dtype(x.dtype))
    if outside_gradient == "zero":
        return ops.tanh(ops.clip(x, -limit, limit))

    @ops.custom_gradient
    def forward(x):
        y = ops.tanh(ops.clip(x, -limit, limit))

        def backward(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient by position.
            upstream = args[0] if upstream is None else upstream
            gradient = upstream * (1 - y * y)
            if outside_gradient == "straight_through":
                return gradient
            # Descent moves an input against its gradient.
            outward = ops.logical_or(
                ops.logical_and(x > limit, upstream < 0),
                ops.logical_and(x < -limit, upstream > 0),
            )
            return ops.where(outward, ops.zeros_like(gradient), gradient)

        return y, backward

    return forward(x)


@_register
def relu6(x):
    """Rectified linear unit that ends at 6.

    Formula: `min(max(x, 0), 6)`; the gradient at 0 and at 6 is 0.

    Args:
        x: float tensor of any shape.

    Returns:
        A tensor of the shape and dtype of `x`, in [0, 6].

    Reference:

    - [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)

    Example:

    >>> [float(v) for v in relu6([-1.0, 2.5, 7.0])]
    [0.0, 2.5, 6.0]
    """
    if isinstance(x, keras.KerasTensor):
        return _layer("ReLU6")(x)
    return ops.relu6(_as_float(x))


@_register
def hard_swish(x):
    """Piecewise quadratic form of swish, without an exponential.

    Formula: `x * (relu6(x + 3) / 6)`

    TensorFlow Lite turns this form into its one operation HARD_SWISH. The price
    is that `-inf` gives NaN, where the limit is 0; no finite input does.

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
        return _layer("HardSwish")(x)
    x = _as_float(x)
    # Dividing first: x * relu6(x + 3) overflows from a sixth of the largest float.
    return x * (ops.relu6(x + 3.0) / 6.0)


@_register
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
        return _layer("StableGELU", approximate)(x)
    x = _as_float(x)
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


def check_clip(limit, outside_gradient):
    """Raises ValueError unless both are options of `clipped_tanh`."""
    if not (isinstance(limit, numbers.Real) and 0 < float(limit) < math.inf):
        raise ValueError(
            f"`limit` must be a positive, finite number. Received: limit={limit!r}"
        )
    if outside_gradient not in OUTSIDE_GRADIENTS:
        raise ValueError(
            f"`outside_gradient` must be one of {OUTSIDE_GRADIENTS}. "
            f"Received: outside_gradient={outside_gradient!r}"
        )


def check_limit(limit, dtype):
    """Raises ValueError where tanh(limit) may round to 1 in a dtype, a string."""
    greatest = GREATEST_LIMIT[dtype]
    if limit > greatest:
        raise ValueError(
            f"tanh(limit) must stay below 1 in the input's dtype, {dtype}: `limit` "
            f"may be at most {greatest}. Received: limit={limit}"
        )


def _layer(name, *args):
    # A custom gradient needs real tensors; inside a functional model a layer gets
    # them. It is also saved as one node, with its configuration.
    from keras_activations import activations

    return getattr(activations, name)(*args)


def _as_float(x):
    x = ops.convert_to_tensor(x)
    if keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        return x
    return ops.cast(x, keras.config.floatx())


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
