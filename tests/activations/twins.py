"""The functions as TensorFlow runs them, and how far they are off, measured once."""

import functools

import pytest
import tensorflow as tf

from benchmarks.numerics.inputs import inputs
from benchmarks.numerics.measuring import OURS, errors, value_and_gradient
from benchmarks.numerics.ulps import TYPES
from keras_activations.activations import functional

DTYPES = tuple(TYPES)
TINY = {dtype: kind.tiny for dtype, kind in TYPES.items()}
FUNCTIONS = OURS | {
    "inward": functools.partial(functional.clipped_tanh, outside_gradient="inward"),
    "straight": functools.partial(
        functional.clipped_tanh, limit=1.25, outside_gradient="straight_through"
    ),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
with_and_without_xla = pytest.mark.parametrize("xla", [False, True])


@functools.cache
def compiled(name, xla):
    return value_and_gradient(FUNCTIONS[name], xla)


def measure(name, x, xla):
    """Value and gradient, with an upstream gradient of 1, as float64."""
    y, gradient = compiled(name, xla)(x)
    assert y.dtype == gradient.dtype == x.dtype
    return to_float64(y), to_float64(gradient)


def computed(name, x, dtype, xla):
    """The same of a float64 array of numbers of the type."""
    return measure(name, tf.cast(x, dtype), xla)


def to_float64(x):
    return tf.cast(x, "float64").numpy()


def ulps(name, dtype, xla):
    """The `Errors` of all halves, of 20 000 float32, of 500 float64."""
    x = inputs(dtype, {"float64": 500}.get(dtype, 20_000))
    return errors(name, *computed(name, x, dtype, xla), x, dtype)
