"""Initialisation: weights that start too large, too far from 0 or alike, put right."""

import keras
import numpy as np

from keras_activations.actions.feeds import feeds, untouched_averages
from keras_activations.actions.slots import forget
from keras_activations.actions.traits import alike_kernels, large_kernels
from keras_activations.health.weight_suspects import LARGE_BIAS
from keras_activations.health.weights import lack
from keras_activations.telemetry.layouts import layer_paths


def reset_biases(model, optimizer, inputs):
    """Sets the biases of hidden layers to 0 where they are far from it.

    Args:
        model: a built `keras.Model`.
        optimizer: its optimizer, whose slots of them start anew, or None.
        inputs: one batch, as the model is called with.

    Returns:
        paths of the layers, in order.

    Raises:
        NotTaken: if the model cannot be called on the inputs.
    """
    with untouched_averages(model):
        sources = [feed.source for feed in feeds(model, inputs) if not feed.is_output]
    biases = {id(layer): (layer, layer.bias) for layer in sources if _far(layer)}
    for _, bias in biases.values():
        bias.assign(keras.ops.zeros_like(bias))
    forget(optimizer, [bias for _, bias in biases.values()])
    paths = layer_paths(model)
    return [paths[id(layer)] for layer, _ in biases.values()]


def scale_down(model, optimizer):
    """Scales kernels that are far larger than initialisers make them to Glorot's size.

    The arguments are those of `reset_biases`.

    Returns:
        paths of the layers that own them.
    """
    large = large_kernels(model)
    for _, variable, stats in large:
        variable.assign(variable * lack(stats))
    forget(optimizer, [variable for _, variable, _ in large])
    return list(dict.fromkeys(layer.path for layer, _, _ in large))


def draw_anew(model, optimizer):
    """Draws kernels whose entries are alike anew, as Glorot's initialiser does.

    The arguments and what is returned are those of `scale_down`.
    """
    alike = alike_kernels(model)
    for number, (_, variable, _) in enumerate(alike):
        # A seed of its own: the run's random numbers go on as they were.
        drawn = keras.initializers.GlorotUniform(seed=number)(variable.shape)
        variable.assign(keras.ops.cast(drawn, variable.dtype))
    forget(optimizer, [variable for _, variable, _ in alike])
    return list(dict.fromkeys(layer.path for layer, _, _ in alike))


def _far(layer):
    bias = getattr(layer, "bias", None)
    if not isinstance(bias, keras.Variable) or not bias.trainable:
        return False
    values = keras.ops.convert_to_numpy(bias.value).astype(np.float64)
    return bool(np.sqrt(np.mean(np.square(values))) > LARGE_BIAS)
