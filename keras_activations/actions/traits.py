"""Traits of a model that decide what can be done for it."""

import math

import keras
import numpy as np

from keras_activations.actions.recurrent import cell_gates
from keras_activations.actions.rescaling import GROWING
from keras_activations.activations.regions import activation_of, region_of
from keras_activations.health import weight_suspects, weights
from keras_activations.telemetry.layouts import layer_paths
from keras_activations.telemetry.stats import WeightStats
from keras_activations.telemetry.taps import all_layers


def recurrent_layers(model):
    """Trainable recurrent layers whose kernels are known."""
    return [
        layer
        for layer in all_layers(model)
        if cell_gates(layer) is not None and layer.trainable
    ]


def large_kernels(model):
    """Trainable kernels far larger than initialisers make them.

    Returns:
        list of `(layer, variable, WeightStats)`, each variable once, with the innermost
        layer that has it.
    """
    return [
        (layer, variable, stats)
        for layer, variable, stats in _kernels(model)
        if weight_suspects.LARGE_WEIGHTS < (weights.excess(stats) or 0.0) < math.inf
    ]


def alike_kernels(model):
    """Trainable kernels far to one side of 0, or all the same, likewise.

    Not those that a constraint, like `NonNeg`, may hold there.
    """
    return [
        (layer, variable, stats)
        for layer, variable, stats in _kernels(model)
        if variable.constraint is None and (weights.alike(stats) or 0.0) > weights.ALIKE
    ]


def _kernels(model):
    found = {}
    for layer in all_layers(model):
        for variable in layer.trainable_variables:
            stats = _stats(variable)
            if weights.is_kernel(stats):
                found[id(variable)] = layer, variable, stats
    return list(found.values())


def _stats(variable):
    values = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        return WeightStats(variable.path, shape=tuple(variable.shape))
    size = np.sqrt(np.mean(np.square(values))) if values.size else 0.0
    return WeightStats(
        variable.path,
        weight_norm=float(size * math.sqrt(values.size)),
        mean_ratio=float(abs(values.mean()) / size) if size > 0 else None,
        shape=tuple(variable.shape),
    )


def too_large(model):
    """Paths of the layers with such kernels."""
    return list(dict.fromkeys(layer.path for layer, _, _ in large_kernels(model)))


def growing_layers(model):
    """The layers with an activation whose slope grows without end."""
    return [layer for layer in all_layers(model) if activation_of(layer) in GROWING]


def one_sided(model, path):
    """Whether a layer's outputs are bounded and of one sign, as those of a sigmoid."""
    paths = layer_paths(model)
    regions = [region_of(x) for x in all_layers(model) if paths[id(x)] == path]
    return any(r is not None and 0 <= r.lower < r.upper < math.inf for r in regions)
