"""The functions as TensorFlow runs them, and as float64 SciPy computes them."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_activations.activations import functional

DTYPES = ("float16", "bfloat16", "float32", "float64")
# Smallest normal number, and relative width of a unit in the last place.
TINY = {"float16": 2**-14, "bfloat16": 2**-126, "float32": 2**-126, "float64": 2**-1022}
ULP = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
FUNCTIONS = {
    "clipped_tanh": functional.clipped_tanh,
    "inward": functools.partial(functional.clipped_tanh, outside_gradient="inward"),
    "straight": functools.partial(
        functional.clipped_tanh, limit=1.25, outside_gradient="straight_through"
    ),
    "relu6": functional.relu6,
    "hard_swish": functional.hard_swish,
    "gelu": functional.stable_gelu,
    "gelu_tanh": functools.partial(functional.stable_gelu, approximate=True),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
with_and_without_xla = pytest.mark.parametrize("xla", [False, True])


@functools.cache
def compiled(name, xla):
    @tf.function(jit_compile=xla, autograph=False)
    def value_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = FUNCTIONS[name](x)
        return y, tape.gradient(y, x)

    return value_and_gradient


def measure(name, x, xla):
    """Value and gradient, with an upstream gradient of 1, as float64."""
    y, gradient = compiled(name, xla)(x)
    assert y.dtype == gradient.dtype == x.dtype
    return to_float64(y), to_float64(gradient)


def to_float64(x):
    return tf.cast(x, "float64").numpy()


def twin(name, x):
    """Value and derivative in float64, by other formulas."""
    if name in ("clipped_tanh", "inward", "straight"):
        limit = 1.25 if name == "straight" else 3.0
        inside = np.abs(x) <= limit
        # The upstream gradient is 1: "inward" lets what lies above come down.
        passes = {"inward": inside | (x > limit), "straight": True}.get(name, inside)
        y = np.tanh(np.clip(x, -limit, limit))
        return y, np.where(passes, 1 / np.cosh(np.clip(x, -limit, limit)) ** 2, 0.0)
    if name == "relu6":
        return np.clip(x, 0, 6), ((x > 0) & (x < 6)).astype("float64")
    if name == "hard_swish":
        middle = np.clip(x, -3, 3)
        y = np.where(x >= 3, x, np.where(x <= -3, 0.0, middle * (middle + 3) / 6))
        slope = np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, middle / 3 + 0.5))
        return y, slope
    near = np.clip(x, -40, 40)
    if name == "gelu":
        density = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
        return x * special.ndtr(x), special.ndtr(x) + near * density
    scale = 2 * math.sqrt(2 / math.pi)
    t = scale * (near + 0.044715 * near**3)
    slope = scale * (1 + 3 * 0.044715 * near**2)
    s = special.expit(t)
    return x * s, s * (1 + near * special.expit(-t) * slope)
