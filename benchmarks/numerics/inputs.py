"""What the functions are given: every half, and a dense grid of the wider types."""

import functools

import ml_dtypes
import numpy as np

from benchmarks.numerics.ulps import TYPES

KINKS = (0.0, 3.0, 5.0, 6.0, 11.0, 15.0)


@functools.cache
def inputs(dtype, dense=200_000):
    """Finite inputs, from the smallest to the largest normal number of a type.

    TensorFlow and XLA take a subnormal input for 0; float16 ones are computed in float32.

    Args:
        dtype: key of `TYPES`.
        dense: how many of the wider types; of the halves it is all there are.

    Returns:
        float64 array; each element is a number of the type.
    """
    if dtype in ("float16", "bfloat16"):
        patterns = np.arange(2**16, dtype="uint16").view(numpy_type(dtype))
        with np.errstate(invalid="ignore"):  # signalling NaN
            values = patterns.astype("float64")
        values = values[np.isfinite(values)]
    else:
        kind = TYPES[dtype]
        sizes = np.geomspace(kind.tiny, kind.largest / 2, dense // 8)
        near = np.concatenate([_neighbours(kink, dtype) for kink in KINKS])
        parts = [np.linspace(-16, 16, dense // 2), sizes, near, [kind.largest]]
        values = np.concatenate([*parts, *(-part for part in map(np.array, parts[1:]))])
        values = values.astype(dtype).astype("float64")
    if dtype != "float16":
        values = values[(values == 0) | (np.abs(values) >= TYPES[dtype].tiny)]
    return np.sort(values)


def usual(x):
    """Where the inputs of a layer mostly lie."""
    return (np.abs(x) >= 2.0**-10) & (np.abs(x) < 16)


def numpy_type(dtype):
    """The NumPy type of a key of `TYPES`."""
    return np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)


def _neighbours(value, dtype):
    kind = np.dtype(dtype).type
    below, above = (np.nextafter(kind(value), kind(end)) for end in (-99, 99))
    return np.array([below, value, above], "float64")
