"""How far value and gradient may be off, on every backend."""

import numpy as np

from benchmarks.numerics.ulps import TYPES

HALVES = ("float16", "bfloat16")
# The relative width of a unit in the last place, at most.
EPSILON = {dtype: 2.0 ** (1 - kind.digits) for dtype, kind in TYPES.items()}
# Relative errors of GELU's value and gradient. They grow with the square of x: its
# rounding is that of an exponent.
GELU = {"float32": (2e-5, 5e-5), "float64": (2e-13, 2e-13)}


def assert_bounds(name, dtype, errors):
    """Asserts that `Errors` of a function are within its bounds."""
    value, gradient = np.nanmax(errors.value), np.nanmax(errors.gradient)
    if name == "relu6":
        assert value == gradient == 0
    elif dtype in HALVES:
        assert value <= 1
        assert gradient <= 4
    elif name == "hard_swish":
        # Compilers multiply by a rounded 1 / 6, and no formula that does not leave
        # them the division is a HARD_SWISH in TensorFlow Lite.
        assert value <= 2.5
        assert np.nanmax(errors.relative_value) <= 2 * EPSILON[dtype]
        assert gradient <= 4
    elif name == "clipped_tanh":
        # The slope is 1 - y**2, a hundredth at the limit, of a y that is 4 units off.
        assert value <= 4
        assert np.nanmax(errors.relative_gradient) <= 400 * EPSILON[dtype]
    else:
        most, steepest = GELU[dtype]
        assert np.nanmax(errors.relative_value) <= most
        assert np.nanmax(errors.relative_gradient) <= steepest
