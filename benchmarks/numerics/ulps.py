"""Errors counted in units in the last place (ulps)."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Type:
    """A float type.

    Attributes:
        digits: bits of the significand.
        lowest: exponent of the smallest normal number.
        highest: exponent of the power of two above the largest float.
    """

    digits: int
    lowest: int
    highest: int

    @property
    def largest(self):
        return float(np.ldexp(2.0 - 2.0 ** (1 - self.digits), self.highest - 1))

    @property
    def tiny(self):
        return float(np.ldexp(1.0, self.lowest))


TYPES = {
    "float16": Type(11, -14, 16),
    "bfloat16": Type(8, -126, 128),
    "float32": Type(24, -126, 128),
    "float64": Type(53, -1022, 1024),
}


def ulp_errors(measured, true, dtype, at_least=0.0):
    """Distance from the true values, in units in the last place of these.

    Args:
        measured: float64 array.
        true: array of more digits than `dtype` has.
        dtype: key of `TYPES`.
        at_least: number or array; a smaller true value has the unit of this one.

    Returns:
        float64 array; infinite where the measured value is NaN or infinite.
    """
    kind = TYPES[dtype]
    _, exponent = np.frexp(np.maximum(np.abs(true), at_least))
    lowest = kind.lowest - kind.digits + 1
    unit = np.ldexp(np.longdouble(1), np.maximum(exponent - kind.digits, lowest))
    return _distance(measured, true, unit)


def relative_errors(measured, true, dtype, at_least=0.0):
    """The same as a share of the true values; arguments as in `ulp_errors`."""
    scale = np.maximum(np.abs(true), np.maximum(at_least, TYPES[dtype].tiny))
    return _distance(measured, true, scale)


def comfortable(true, dtype):
    """Where a true value is 0, or far enough from the subnormal numbers.

    TensorFlow and XLA flush these to 0 in their own way; only float16 is computed in
    float32, where its subnormal numbers are normal.
    """
    if dtype == "float16":
        return np.ones(true.shape, bool)
    return (true == 0) | (np.abs(true) >= 1024 * TYPES[dtype].tiny)


def _distance(measured, true, unit):
    with np.errstate(invalid="ignore"):
        distance = np.abs(measured - true) / unit
    return np.where(np.isfinite(measured), distance, np.inf).astype("float64")
