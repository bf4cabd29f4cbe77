"""Where each activation function saturates, and what its floor is.

Saturated are the outputs on a flat, bounded side, where the slope is under 4 % of
the function's greatest slope. The flat side of a rectifier is its floor instead.
"""

import dataclasses
import functools
import math
from typing import Any

import keras
import numpy as np

from keras_activations.activations.clipped_tanh import ClippedTanh
from keras_activations.activations.hard_swish import HardSwish
from keras_activations.activations.relu6 import ReLU6
from keras_activations.activations.stable_gelu import StableGELU

FLAT = 0.04


@dataclasses.dataclass(frozen=True)
class Region:
    """What is known of the outputs of an activation function.

    Attributes:
        lower, upper: range of the outputs; infinite where unbounded.
        saturated_below: outputs at most this are saturated. None where that side
            is not flat and bounded, or is a floor.
        saturated_above: outputs at least this are saturated, likewise.
        floor: (low, high): a unit whose outputs all lie in this closed band passes
            next to no gradient. None where the function has no floor.
        histogram: (low, high), finite, for bins of fixed width. None where the
            bins must follow the data.
        elementwise: whether an output depends on one input only.
    """

    lower: float = -math.inf
    upper: float = math.inf
    saturated_below: float | None = None
    saturated_above: float | None = None
    floor: tuple[float, float] | None = None
    histogram: tuple[float, float] | None = None
    elementwise: bool = True


def region_of(activation):
    """The region of an activation function, or of the one a layer applies.

    Args:
        activation: a name in `keras.activations`, a function of Keras, TensorFlow
            or this package, a `functools.partial` of one with keywords, or a
            layer: an activation layer, one with an `activation`, or a recurrent
            one, whose outputs are taken to be its activation's.

    Returns:
        A `Region`, or None when nothing is known of the activation.

    Example:

    >>> region_of("sigmoid").histogram
    (0.0, 1.0)
    >>> region_of(keras.layers.ReLU(max_value=2.0)).saturated_above
    2.0
    >>> region_of(lambda x: x * x) is None
    True
    """
    if isinstance(activation, str):
        activation = getattr(keras.activations, activation, None)
    if isinstance(activation, keras.layers.Layer):
        for kind in type(activation).__mro__:
            if kind in _LAYERS:
                return _LAYERS[kind](activation)
        return region_of(_applied(activation))
    function, keywords = _unwrap(activation)
    row: Any = _ROWS.get(getattr(function, "__name__", ""))
    # By name and home: `tf.nn.relu` is as good as Keras's, a user's `relu` is not.
    home = (getattr(function, "__module__", None) or "").split(".")[0]
    if row is None or home not in ("keras", "keras_activations", "tensorflow"):
        return None
    try:
        return row(**keywords)
    except TypeError:  # a keyword, or the lack of one, that the row does not know
        return None


def activation_of(layer):
    """The name of the activation a layer applies.

    Args:
        layer: a Keras layer.

    Returns:
        The function's name, or the class name of an activation layer. None when
        the layer applies no activation or the linear one.

    Example:

    >>> activation_of(keras.layers.Dense(3, activation="tanh"))
    'tanh'
    >>> activation_of(keras.layers.LeakyReLU())
    'LeakyReLU'
    >>> activation_of(keras.layers.Dense(3)) is None
    True
    """
    if isinstance(layer, tuple(_LAYERS)):
        return type(layer).__name__
    activation = _applied(layer)
    if activation is None:
        return None
    if isinstance(activation, keras.layers.Layer):
        return activation_of(activation)
    function, _ = _unwrap(activation)
    name = getattr(function, "__name__", type(function).__name__)
    return None if name == "linear" else name


def _applied(layer):
    if isinstance(layer, keras.layers.RNN):
        layer = layer.cell
        while getattr(layer, "cells", None):
            layer = layer.cells[-1]
    return getattr(layer, "activation", None)


def _unwrap(activation):
    if isinstance(activation, functools.partial) and not activation.args:
        return activation.func, activation.keywords
    return activation, {}


def _bounded(lower, upper, below=None, above=None, floor=None, elementwise=True):
    histogram = (lower, upper)
    return Region(lower, upper, below, above, floor, histogram, elementwise)


def _slack(value):
    # What rounding to bfloat16, of 8 significant bits, may take from a bound: once
    # for the option, once for the output.
    exact = (math.frexp(value)[0] * 2**8).is_integer()
    return 0.0 if exact else abs(value) * 2**-7


def _clipped_tanh(limit=3.0, outside_gradient="zero"):
    end = math.tanh(limit)
    # tanh' = 1 - y**2 < FLAT; a lower limit makes the function flat before that.
    above = min(math.sqrt(1 - FLAT), end - _slack(end))
    return _bounded(-end, end, -above, above)


def _tanh():
    above = math.sqrt(1 - FLAT)
    return _bounded(-1.0, 1.0, -above, above)


def _sigmoid():
    # y * (1 - y) < FLAT / 4
    below = (1 - math.sqrt(1 - FLAT)) / 2
    return _bounded(0.0, 1.0, below, 1 - below)


def _softsign():
    # (1 - |y|)**2 < FLAT
    above = 1 - math.sqrt(FLAT)
    return _bounded(-1.0, 1.0, -above, above)


def _log_sigmoid():
    # The slope is 1 - exp(y).
    return Region(upper=0.0, saturated_above=math.log(1 - FLAT))


def _relu(negative_slope=0.0, max_value=None, threshold=0.0):
    upper = math.inf if max_value is None else float(max_value)
    above = None if max_value is None else upper - _slack(upper)
    if negative_slope:
        return Region(upper=upper, saturated_above=above)
    if max_value is not None:
        return _bounded(0.0, upper, None, above, (0.0, 0.0))
    return Region(min(0.0, threshold), floor=(0.0, 0.0))


def _leaky_relu(negative_slope=0.2):
    return _relu(negative_slope)


def _elu(alpha=1.0, scale=1.0):
    # scale * alpha * (exp(x) - 1) has slope y + scale * alpha, at most that at 0.
    lower = -scale * alpha
    below = lower + FLAT * max(scale, scale * alpha)
    return Region(lower, saturated_below=min(below, 0.0))


def _selu():
    # The constants of Klambauer et al., 2017, that keep mean 0 and variance 1.
    return _elu(1.6732632423543772, 1.0507009873554805)


def _celu(alpha=1.0):
    # alpha * (exp(x / alpha) - 1) has slope 1 + y / alpha.
    return Region(-alpha, saturated_below=-alpha * (1 - FLAT))


def _softplus():
    # The slope is 1 - exp(-y).
    return Region(0.0, floor=(0.0, -math.log(1 - FLAT)))


def _squareplus(b=4):
    # With x = y - b / (4 * y) the slope is y**2 / (y**2 + b / 4).
    return Region(0.0, floor=(0.0, math.sqrt(b / 4 * FLAT / (1 - FLAT))))


def _sparse_plus():
    # (x + 1)**2 / 4 has slope sqrt(y).
    return Region(0.0, floor=(0.0, FLAT**2))


def _hard_swish():
    # The slope jumps from 0 to -1/2 at x = -3; the least value is that at -3/2.
    return Region(-0.375, floor=(0.0, 0.0))


def _shrink(threshold=0.5):
    # Flat around 0, not below: a unit that stays there learns nothing either.
    return Region(floor=(0.0, 0.0))


def _threshold(threshold, default_value):
    slack = _slack(default_value)
    floor = (default_value - slack, default_value + slack)
    return Region(min(threshold, default_value), floor=floor)


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


def _gelu(approximate=False):
    return _smooth_rectifier(_tanh_normal if approximate else _normal)


# The function's name: its region, given the keywords it was bound to.
_ROWS = {
    "celu": _celu,
    "clipped_tanh": _clipped_tanh,
    "elu": _elu,
    # The slope has no greatest value to compare with.
    "exponential": lambda: Region(0.0),
    "gelu": _gelu,
    "glu": lambda axis=-1: Region(elementwise=False),
    "hard_shrink": _shrink,
    "hard_sigmoid": lambda: _bounded(0.0, 1.0, 0.0, 1.0),
    "hard_silu": _hard_swish,
    "hard_swish": _hard_swish,
    "hard_tanh": lambda: _bounded(-1.0, 1.0, -1.0, 1.0),
    "leaky_relu": _leaky_relu,
    "linear": Region,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": lambda axis=-1: Region(upper=0.0, elementwise=False),
    "mish": lambda: _smooth_rectifier(_mish_gate),
    "relu": _relu,
    "relu6": lambda: _relu(max_value=6.0),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": lambda: _smooth_rectifier(_logistic),
    "soft_shrink": _shrink,
    "softmax": lambda axis=-1: _bounded(0.0, 1.0, elementwise=False),
    "softplus": _softplus,
    "softsign": _softsign,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda: _bounded(0.0, 1.0, 0.0, 1.0),
    "sparsemax": lambda axis=-1: _bounded(0.0, 1.0, elementwise=False),
    "squareplus": _squareplus,
    "stable_gelu": _gelu,
    "swish": lambda: _smooth_rectifier(_logistic),
    "tanh": _tanh,
    # Flat at one point only.
    "tanh_shrink": Region,
    "threshold": _threshold,
}

_LAYERS = {
    ClippedTanh: lambda layer: _clipped_tanh(layer.limit),
    ReLU6: lambda layer: _relu(max_value=6.0),
    HardSwish: lambda layer: _hard_swish(),
    StableGELU: lambda layer: _gelu(layer.approximate),
    keras.layers.ReLU: lambda layer: _relu(
        layer.negative_slope, layer.max_value, layer.threshold
    ),
    keras.layers.LeakyReLU: lambda layer: _leaky_relu(layer.negative_slope),
    keras.layers.ELU: lambda layer: _elu(layer.alpha),
    keras.layers.PReLU: lambda layer: Region(),
    keras.layers.Softmax: lambda layer: _bounded(0.0, 1.0, elementwise=False),
}
