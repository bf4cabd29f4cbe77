"""Traits of a model that decide what can be done for it."""

import keras

from keras_activations.actions.recurrent import cell_gates
from keras_activations.actions.rescaling import GROWING
from keras_activations.activations.regions import activation_of
from keras_activations.health import weight_suspects, weights
from keras_activations.telemetry.stats import WeightStats
from keras_activations.telemetry.taps import all_layers


def recurrent_layers(model):
    """Trainable recurrent layers whose kernels are known."""
    return [
        layer
        for layer in all_layers(model)
        if cell_gates(layer) is not None and layer.trainable
    ]


def too_large(model):
    """Paths of the layers with a kernel far larger than initialisers make it."""
    return [
        layer.path
        for layer in all_layers(model)
        if any(
            _excess(v) > weight_suspects.LARGE_WEIGHTS
            for v in layer.trainable_variables
        )
    ]


def _excess(variable):
    entries = keras.ops.reshape(keras.ops.cast(variable, "float32"), [-1])
    norm = float(keras.ops.norm(entries))
    stats = WeightStats(variable.path, weight_norm=norm, shape=tuple(variable.shape))
    return (weights.is_kernel(stats) and weights.excess(stats)) or 0.0


def growing_layers(model):
    """The layers with an activation whose slope grows without end."""
    return [layer for layer in all_layers(model) if activation_of(layer) in GROWING]
