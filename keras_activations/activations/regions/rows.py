"""The region of each activation function, given its keywords.

Saturated are the outputs on a flat, bounded side, where the slope is under 4 % of
the function's greatest slope. The flat side of a rectifier is its floor instead.
"""

import functools
import math

import numpy as np

from keras_activations.activations.regions.region import Region

FLAT = 0.04


def bounded(lower, upper, below=None, above=None, floor=None, elementwise=True):
    histogram = (lower, upper)
    return Region(lower, upper, below, above, floor, histogram, elementwise)


def _slack(value):
    # What rounding to bfloat16, of 8 significant bits, may take from a bound: once
    # for the option, once for the output.
    exact = (math.frexp(value)[0] * 2**8).is_integer()
    return 0.0 if exact else abs(value) * 2**-7


def clipped_tanh(limit=3.0, outside_gradient="zero"):
    end = math.tanh(limit)
    # tanh' = 1 - y**2 < FLAT; a lower limit makes the function flat before that.
    above = min(math.sqrt(1 - FLAT), end - _slack(end))
    return bounded(-end, end, -above, above)


def tanh():
    above = math.sqrt(1 - FLAT)
    return bounded(-1.0, 1.0, -above, above)


def sigmoid():
    # y * (1 - y) < FLAT / 4
    below = (1 - math.sqrt(1 - FLAT)) / 2
    return bounded(0.0, 1.0, below, 1 - below)


def softsign():
    # (1 - |y|)**2 < FLAT
    above = 1 - math.sqrt(FLAT)
    return bounded(-1.0, 1.0, -above, above)


def log_sigmoid():
    # The slope is 1 - exp(y).
    return Region(upper=0.0, saturated_above=math.log(1 - FLAT))


def relu(negative_slope=0.0, max_value=None, threshold=0.0):
    upper = math.inf if max_value is None else float(max_value)
    above = None if max_value is None else upper - _slack(upper)
    if negative_slope:
        return Region(upper=upper, saturated_above=above)
    if max_value is not None:
        return bounded(0.0, upper, None, above, (0.0, 0.0))
    return Region(min(0.0, threshold), floor=(0.0, 0.0))


def leaky_relu(negative_slope=0.2):
    return relu(negative_slope)


def elu(alpha=1.0, scale=1.0):
    # scale * alpha * (exp(x) - 1) has slope y + scale * alpha, at most that at 0.
    lower = -scale * alpha
    below = lower + FLAT * max(scale, scale * alpha)
    return Region(lower, saturated_below=min(below, 0.0))


def selu():
    # The constants of Klambauer et al., 2017, that keep mean 0 and variance 1.
    return elu(1.6732632423543772, 1.0507009873554805)


def celu(alpha=1.0):
    # alpha * (exp(x / alpha) - 1) has slope 1 + y / alpha.
    return Region(-alpha, saturated_below=-alpha * (1 - FLAT))


def softplus():
    # The slope is 1 - exp(-y).
    return Region(0.0, floor=(0.0, -math.log(1 - FLAT)))


def squareplus(b=4):
    # With x = y - b / (4 * y) the slope is y**2 / (y**2 + b / 4).
    return Region(0.0, floor=(0.0, math.sqrt(b / 4 * FLAT / (1 - FLAT))))


def sparse_plus():
    # (x + 1)**2 / 4 has slope sqrt(y).
    return Region(0.0, floor=(0.0, FLAT**2))


def hard_swish():
    # The slope jumps from 0 to -1/2 at x = -3; the least value is that at -3/2.
    return Region(-0.375, floor=(0.0, 0.0))


def shrink(threshold=0.5):
    # Flat around 0, not below: a unit that stays there learns nothing either.
    return Region(floor=(0.0, 0.0))


def threshold(threshold, default_value):
    slack = _slack(default_value)
    floor = (default_value - slack, default_value + slack)
    return Region(min(threshold, default_value), floor=floor)


def gelu(approximate=False):
    return _smooth_rectifier(_tanh_normal if approximate else _normal)


def silu():
    return _smooth_rectifier(_logistic)


def mish():
    return _smooth_rectifier(_mish_gate)


@functools.cache
def _smooth_rectifier(gate):
    # x * gate(x) dips below 0 and returns to it: its floor are the outputs left of
    # the last input with slope. No closed form; the grid is good to 1e-6.
    x = np.arange(-16_000, 16_001) / 1000
    y = x * np.array([gate(value) for value in x.tolist()])
    slope = np.abs(np.gradient(y, x))
    start = int(np.argmax(slope >= FLAT * slope.max()))
    return Region(float(y.min()), floor=(float(y[start]), 0.0))


def _logistic(x):
    return 1 / (1 + math.exp(-x))


def _normal(x):
    return math.erfc(-x * math.sqrt(0.5)) / 2


def _tanh_normal(x):
    return _logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def _mish_gate(x):
    return math.tanh(math.log1p(math.exp(x)))
