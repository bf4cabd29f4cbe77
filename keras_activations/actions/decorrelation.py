"""Decorrelation: units of a layer that say nearly the same are set apart.

Through many narrow rectified layers less and less is told of the input, until all units
of a layer rise and fall as one. No scale of their own brings back what only differences
between units can carry.

References:
    Kessy, Lewin and Strimmer, "Optimal whitening and decorrelation", 2018 (ZCA-cor).
"""

import keras
import numpy as np

# Of the variance along a direction so much is trusted to be more than noise.
LEAST = 0.01


def repeated_units(weights, pre_activation):
    """Boolean array: the units that do what one before them does, for every input."""
    values = keras.ops.convert_to_numpy(keras.ops.cast(pre_activation, "float32"))
    repeated = np.zeros([values.shape[axis] for axis in weights.axes], bool)
    units = np.moveaxis(values, weights.axes, range(len(weights.axes)))
    units = units.reshape(repeated.size, -1)
    # Sums of the same products may differ by the order in which they are added up.
    size = np.abs(units).max(initial=0.0)
    if units.size and np.isfinite(size) and size > 0:
        _, first = np.unique(np.round(units / size, 5), axis=0, return_index=True)
        alone = np.isin(np.arange(repeated.size), first)
        repeated = ~alone.reshape(repeated.shape)
    return repeated


def decorrelate(weights, pre_activation):
    """Mixes the units of a layer so that they no longer vary together.

    `W' = W D^-1 C^-1/2` for the deviations D and correlations C of the pre-activations,
    which changes units as little as can be. Directions that hold next to nothing are
    raised tenfold at most. The pre-activations then have a deviation of about 1.

    Args:
        weights: an `Affine` with a kernel whose last axis is that of the units.
        pre_activation: array, units on the last axis, none of them constant.
    """
    values = keras.ops.convert_to_numpy(keras.ops.cast(pre_activation, "float32"))
    values = values.astype(np.float64).reshape(-1, values.shape[-1])
    deviation = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / deviation
    sizes, directions = np.linalg.eigh(standard.T @ standard / len(standard))
    root = (directions / np.sqrt(np.maximum(sizes, LEAST))) @ directions.T
    for variable in weights.variables:
        value = keras.ops.convert_to_numpy(variable.value).astype(np.float64)
        variable.assign((value / deviation @ root).astype(variable.dtype))
