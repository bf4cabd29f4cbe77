"""What the pre-activations of a unit should be, and weights that give it that."""

from typing import NamedTuple

import keras
import numpy as np

# What a unit's pre-activation may have, in units of what is sound: outside, it is
# centred and scaled.
FURTHEST_MEAN = 1.0
SMALLEST, GREATEST = 0.5, 2.0
CONSTANT = 1e-6  # a smaller deviation, beside the mean, is none


class Sound(NamedTuple):
    """What the pre-activations of a unit should be.

    Attributes:
        mean, deviation: floats.
        apart: bool, whether units should not vary together.
    """

    mean: float = 0.0
    deviation: float = 1.0
    apart: bool = False


USUAL = Sound()


def standardise(weights, pre_activation, drawn=False, sound=USUAL):
    """Gives each unit a sound mean and deviation, unless it is not far from that.

    Without a bias units are scaled to that root mean square. Constant units are left.

    Args:
        weights: an `Affine`.
        pre_activation: array of what the layer puts out without its activation.
        drawn: boolean array, or False: the units that have learnt nothing yet, which
            are changed however far from it they are.
        sound: `Sound`.

    Returns:
        boolean array: the units that were changed.
    """
    mean, deviation = _moments(weights, pre_activation)
    least, most = SMALLEST * sound.deviation, GREATEST * sound.deviation
    if weights.bias is None:
        size = np.hypot(mean, deviation)
        ill = (size < least) | (size > most)
        mean, deviation = np.zeros_like(mean), size
    else:
        mean = mean - sound.mean
        ill = np.abs(mean) > FURTHEST_MEAN * sound.deviation
        if weights.kernel is not None:
            ill |= (deviation < least) | (deviation > most)
    ill = (ill | drawn) & ~constant_units(weights, pre_activation)
    if weights.kernel is None:
        deviation = np.full_like(deviation, sound.deviation)
    scale = np.where(ill, sound.deviation / np.where(ill, deviation, 1.0), 1.0)
    if weights.kernel is not None:
        _assign(weights.kernel, _array(weights.kernel) * weights.on_kernel(scale))
    if weights.bias is not None:
        # With m what it is and m' what it should be: (b - m) scale + m'.
        shift = np.where(ill, (mean + sound.mean) * scale - sound.mean, 0.0)
        shift, scale = weights.on_bias(shift), weights.on_bias(scale)
        _assign(weights.bias, _array(weights.bias) * scale - shift)
    return ill


def constant_units(weights, pre_activation):
    """Boolean array: the units that are the same for every input."""
    mean, deviation = _moments(weights, pre_activation)
    return deviation <= CONSTANT * np.maximum(np.abs(mean), 1.0)


def restart_units(weights, units, initializer):
    """Draws the weights of some units anew; their bias is 0 then."""
    kernel, bias = weights.kernel, weights.bias
    anew = keras.ops.convert_to_numpy(initializer(kernel.shape, dtype="float32"))
    _assign(kernel, np.where(weights.on_kernel(units), anew, _array(kernel)))
    if bias is not None:
        _assign(bias, np.where(weights.on_bias(units), 0.0, _array(bias)))


def _moments(weights, pre_activation):
    values = keras.ops.convert_to_numpy(keras.ops.cast(pre_activation, "float32"))
    others = tuple(i for i in range(values.ndim) if i not in weights.axes)
    values = values.astype(np.float64)
    return values.mean(axis=others), values.std(axis=others)


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def _assign(variable, value):
    variable.assign(value.astype(variable.dtype))
