"""A hyperbolic tangent that ends where it would have no slope left."""

import math
import numbers

import keras
from keras import ops

from keras_activations.activations.casting import as_float, dtype_of, is_half
from keras_activations.activations.gradients import custom_gradient

OUTSIDE_GRADIENTS = ("zero", "inward", "straight_through")

# The half types are computed in float32 and rounded: tanh may come within one
# unit in the last place of 1, p bits: atanh(1 - 2**-p) = log(2**(p + 1) - 1) / 2.
# TensorFlow's float32 and float64 tanh are rational and reach 1 early, at 7.91
# and 17.71: eight units, log(2**(p - 2) - 1) / 2.
GREATEST_LIMIT = {"bfloat16": 3.11, "float16": 4.15, "float32": 7.62, "float64": 17.67}


@keras.saving.register_keras_serializable(package="keras_activations")
def clipped_tanh(x, limit=3.0, outside_gradient="zero"):
    """Hyperbolic tangent of an input clipped to where it still has slope.

    Formula: `tanh(clip(x, -limit, limit))`

    The output stays strictly inside (-1, 1), so that `atanh` or a logarithm of
    `1 - y` is finite. With the default limit `|y| <= 0.99506`, which bfloat16
    rounds to 0.99609, its greatest value below 1. It is an odd function, to the bit.
    Half types are right to about half a unit in the last place, gradients too.

    Args:
        x: float tensor of any shape.
        limit: float, positive, finite and so small that its tanh stays below 1
            in the dtype of `x`: at most 3.11 for bfloat16, 4.15 for float16,
            7.62 for float32, 17.67 for float64. Defaults to `3.0`.
        outside_gradient: what is passed back to an input beyond the limit. Defaults
            to `"zero"`.

            - `"zero"`: nothing, the derivative of the formula: for when the layer is
              to compute just this function. A unit that is outside for every sample
              learns no more [1].
            - `"inward"`: the upstream gradient times the slope at the limit where a
              descent step would move the input back inside, else nothing: for
              training, so that a saturated unit can return and none is driven
              further out [2].
            - `"straight_through"`: that product always, as if the clip were not
              there: for when the layers before are to learn from all samples, and
              something else, such as weight decay, keeps the input small [3].

            The last two hold for gradients; forward mode, which has no upstream
            gradient, derives the formula.

    Returns:
        A tensor of the shape and dtype of `x`.

    Raises:
        ValueError: if `limit` or `outside_gradient` is not as above.

    References:

    - [1] [Hubara et al., 2016](https://arxiv.org/abs/1602.02830), section 1.3, which
      cancels gradients beyond the bounds
    - [2] [TensorFlow Compression](https://github.com/tensorflow/compression),
      `lower_bound(gradient="identity_if_towards")`
    - [3] [Bengio et al., 2013](https://arxiv.org/abs/1308.3432)

    Example:

    >>> y = clipped_tanh([-100.0, 0.0, 3.0, 100.0])
    >>> [round(float(v), 5) for v in y]
    [-0.99505, 0.0, 0.99505, 0.99505]
    """
    _check_clip(limit, outside_gradient)
    if isinstance(x, keras.KerasTensor):
        # A custom gradient needs real tensors; inside a functional model a layer
        # gets them.
        return ClippedTanh(limit, outside_gradient)(x)
    x = as_float(x)
    _check_limit(limit, dtype_of(x))
    if is_half(x):
        return _half(x, limit, outside_gradient)
    # The cast is for JAX and PyTorch, where Keras takes the tanh of float64 in float32.
    return ops.cast(ops.tanh(_clip(x, limit, outside_gradient)), dtype_of(x))


@keras.saving.register_keras_serializable(package="keras_activations")
class ClippedTanh(keras.layers.Layer):
    """Applies the hyperbolic tangent to an input clipped to `[-limit, limit]`.

    Formula: `tanh(clip(x, -limit, limit))`

    The output stays strictly inside (-1, 1) and the layer can leave saturation
    when the gradient is let through at the limit.

    Args:
        limit: float, positive, finite and so small that its tanh stays below 1
            in the dtype the layer computes in: at most 3.11 for bfloat16, 4.15
            for float16, 7.62 for float32, 17.67 for float64. Defaults to `3.0`.
        outside_gradient: `"zero"`, `"inward"` or `"straight_through"`: what is
            passed back to an input beyond the limit, see
            `functional.clipped_tanh`. Defaults to `"zero"`.
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Raises:
        ValueError: if `limit` or `outside_gradient` is not as above.

    Reference:

    - [Bengio et al., 2013](https://arxiv.org/abs/1308.3432), straight-through; the
      other two in `functional.clipped_tanh`

    Example:

    >>> layer = ClippedTanh(outside_gradient="inward")
    >>> x = keras.ops.convert_to_tensor([-100.0, 0.0, 100.0])
    >>> [round(float(v), 5) for v in layer(x)]
    [-0.99505, 0.0, 0.99505]
    """

    def __init__(self, limit=3.0, outside_gradient="zero", **kwargs):
        super().__init__(**kwargs)
        _check_clip(limit, outside_gradient)
        _check_limit(limit, self.compute_dtype)
        self.limit = float(limit)
        self.outside_gradient = outside_gradient
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return clipped_tanh(inputs, self.limit, self.outside_gradient)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"limit": self.limit, "outside_gradient": self.outside_gradient}
        return {**super().get_config(), **config}


def _check_clip(limit, outside_gradient):
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


def _check_limit(limit, dtype):
    """Raises ValueError where tanh(limit) may round to 1 in a dtype, a string."""
    if dtype == "float64" and keras.backend.backend() != "tensorflow":
        dtype = "float32"  # in which Keras takes the tanh there
    greatest = GREATEST_LIMIT[dtype]
    if limit > greatest:
        raise ValueError(
            f"tanh(limit) must stay below 1 in the input's dtype, {dtype}: `limit` "
            f"may be at most {greatest}. Received: limit={limit}"
        )


def _clip(x, limit, outside_gradient):
    """`x` clipped to the limit, with the gradient that is wanted outside.

    At the limit itself the gradient passes, which backends see differently.
    """

    @custom_gradient
    def clip(x):
        def backward(upstream):
            return _let_through(upstream, x, limit, outside_gradient)

        return ops.clip(x, -limit, limit), backward

    return clip(x)


def _half(x, limit, outside_gradient):
    """The function of a half tensor, of which nothing but `x` is kept."""

    @custom_gradient
    def tanh(x):
        def backward(upstream):
            # 1 - y**2 of a y that is rounded to a half has hardly a digit left.
            y = ops.tanh(ops.clip(ops.cast(x, "float32"), -limit, limit))
            gradient = ops.cast(upstream, "float32") * (1.0 - y * y)
            gradient = ops.cast(gradient, dtype_of(x))
            return _let_through(gradient, x, limit, outside_gradient)

        return ops.tanh(ops.clip(x, -limit, limit)), backward

    return tanh(x)


def _let_through(gradient, x, limit, outside_gradient):
    """The part of a gradient that reaches the input."""
    if outside_gradient == "straight_through":
        return gradient
    stopped = ops.abs(x) > limit
    if outside_gradient == "inward":
        # Descent moves an input against its gradient.
        stopped = ops.logical_and(stopped, x * gradient < 0)
    return ops.where(stopped, ops.zeros_like(gradient), gradient)
