"""Value and gradient as TensorFlow computes them, and how far they are off."""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from benchmarks.numerics.references import reference
from benchmarks.numerics.ulps import TYPES, comfortable, relative_errors, ulp_errors
from keras_activations import functional

OURS = {
    "clipped_tanh": functional.clipped_tanh,
    "relu6": functional.relu6,
    "hard_swish": functional.hard_swish,
    "gelu": functional.stable_gelu,
    "gelu_tanh": functools.partial(functional.stable_gelu, approximate=True),
}
KERAS = {
    "clipped_tanh": lambda x: keras.ops.tanh(keras.ops.clip(x, -3.0, 3.0)),
    "relu6": keras.activations.relu6,
    "hard_swish": keras.activations.hard_silu,
    "gelu": functools.partial(keras.activations.gelu, approximate=False),
    "gelu_tanh": functools.partial(keras.activations.gelu, approximate=True),
}
# Next to a zero of its own, where no formula has correct digits left, the derivative
# is measured against 0.1: function to (zero, how far from it).
ZERO_OF_SLOPE = {
    "hard_swish": (-1.5, 0.3),
    "gelu": (-0.75, 0.3),
    "gelu_tanh": (-0.75, 0.3),
}


@dataclasses.dataclass(frozen=True)
class Errors:
    """How far value and gradient are off; float64 arrays.

    Not-a-number where the true one is next to the subnormal numbers, infinite where
    what was computed is NaN or infinite and should not be.

    Attributes:
        value, gradient: in units in the last place of the true ones.
        relative_value, relative_gradient: as a share of the true ones.
    """

    value: np.ndarray
    gradient: np.ndarray
    relative_value: np.ndarray
    relative_gradient: np.ndarray


def value_and_gradient(function, xla):
    """`x -> (y, gradient)`, for an upstream gradient of 1, as one compiled function."""

    @tf.function(jit_compile=xla, autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, x)

    return run


def errors(name, value, gradient, x, dtype):
    """Compares what was computed with the references.

    Args:
        name: key of `OURS`: what the function should be.
        value, gradient: what came out at `x`, as float64 arrays.
        x: float64 array of numbers of the type.
        dtype: key of `TYPES`.

    Returns:
        `Errors`.
    """
    true, slope = reference(name, x, exact=dtype == "float64")
    at_least = np.zeros(x.shape)
    if name in ZERO_OF_SLOPE:
        zero, near = ZERO_OF_SLOPE[name]
        at_least = np.where(np.abs(x - zero) < near, 0.1, 0.0)
    if name == "hard_swish":
        # There x + 3 rounds to 6, and the slope is that on the other side.
        at_kink = (x < 3.0) & (x + 2.0 ** (2 - TYPES[dtype].digits) >= 3.0)
        slope = np.where(at_kink & (gradient == 1.0), 1.0, slope)
    return Errors(
        *(
            _where_told(count(*part), part[1], dtype)
            for count in (ulp_errors, relative_errors)
            for part in (
                (value, true, dtype, 0.0),
                (gradient, slope, dtype, at_least),
            )
        )
    )


def _where_told(error, true, dtype):
    # What is neither NaN nor infinite may be off where the type itself is.
    told = comfortable(true, dtype) | np.isinf(error)
    return np.where(told, error, np.nan)
