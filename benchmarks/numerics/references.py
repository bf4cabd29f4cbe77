"""The functions by other formulas: in float64 by SciPy, in 60 digits by mpmath."""

import math

import mpmath
import numpy as np
from scipy import special

CUBIC = 0.044715


def clipped_tanh(x, limit=3.0):
    """Value and derivative; arrays of float64, as everywhere below."""
    clipped = np.clip(x, -limit, limit)
    inside = np.abs(x) <= limit
    return np.tanh(clipped), np.where(inside, 1 / np.cosh(clipped) ** 2, 0.0)


def relu6(x):
    return np.clip(x, 0, 6), ((x > 0) & (x < 6)).astype("float64")


def hard_swish(x):
    middle = np.clip(x, -3, 3)
    value = np.where(x >= 3, x, np.where(x <= -3, 0.0, middle * (middle + 3) / 6))
    slope = np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, middle / 3 + 0.5))
    return value, slope


def gelu(x):
    near = np.clip(x, -40, 40)
    density = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
    return x * special.ndtr(x), special.ndtr(x) + near * density


def gelu_tanh(x):
    near = np.clip(x, -40, 40)
    scale = 2 * math.sqrt(2 / math.pi)
    t = scale * (near + CUBIC * near**3)
    gate = special.expit(t)
    steepness = scale * (1 + 3 * CUBIC * near**2)
    return x * gate, gate * (1 + near * special.expit(-t) * steepness)


REFERENCES = {
    "clipped_tanh": clipped_tanh,
    "relu6": relu6,
    "hard_swish": hard_swish,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
}


def _exact_clipped_tanh(x):
    clipped = max(-3, min(3, x))
    slope = mpmath.sech(clipped) ** 2 if abs(x) <= 3 else mpmath.mpf(0)
    return mpmath.tanh(clipped), slope


def _exact_relu6(x):
    return max(mpmath.mpf(0), min(mpmath.mpf(6), x)), mpmath.mpf(0 < x < 6)


def _exact_hard_swish(x):
    if abs(x) < 3:
        return x * (x + 3) / 6, x / 3 + mpmath.mpf(0.5)
    return (x, mpmath.mpf(1)) if x > 0 else (mpmath.mpf(0), mpmath.mpf(0))


def _exact_gelu(x):
    # mpmath's erfc takes no huge numbers, and at 60 all is decided.
    near = max(-60, min(60, x))
    share = mpmath.erfc(-near / mpmath.sqrt(2)) / 2
    return x * share, share + near * mpmath.npdf(near)


def _exact_gelu_tanh(x):
    cubic, scale = mpmath.mpf("0.044715"), 2 * mpmath.sqrt(2 / mpmath.pi)
    near = max(-60, min(60, x))
    odds = mpmath.exp(-scale * (near + cubic * near**3))
    gate, rest = 1 / (1 + odds), odds / (1 + odds)
    return x * gate, gate * (1 + near * rest * scale * (1 + 3 * cubic * near**2))


EXACT = {
    "clipped_tanh": _exact_clipped_tanh,
    "relu6": _exact_relu6,
    "hard_swish": _exact_hard_swish,
    "gelu": _exact_gelu,
    "gelu_tanh": _exact_gelu_tanh,
}


def reference(name, x, exact=False):
    """Value and derivative of a function, to more digits than any dtype measured has.

    Args:
        name: key of `REFERENCES`.
        x: float64 array of one axis.
        exact: bool; if True by mpmath and as long doubles, for results in float64.

    Returns:
        Two arrays.
    """
    if not exact:
        with np.errstate(over="ignore", under="ignore"):
            return REFERENCES[name](x)
    with mpmath.workdps(60):
        pairs = [EXACT[name](mpmath.mpf(value)) for value in x.tolist()]
        return tuple(_long_double(column) for column in zip(*pairs, strict=True))


def _long_double(numbers):
    rounded = np.array([float(number) for number in numbers], "longdouble")
    rest = [float(number - float(number)) for number in numbers]
    return rounded + np.array(rest, "longdouble")
