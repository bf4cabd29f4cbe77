"""Rescaling: gives the units of a model pre-activations of a sound size, from the
input upwards, so that every activation has slope again.

It sees one batch. In the order in which layers are called, each is first called without
its activation; mean and deviation of each unit then say how to change the weights, and
the layer's real output is what the next layers see.

References:
    Mishkin and Matas, "All you need is a good init", 2016.
"""

import contextlib
import dataclasses
import math

import keras
import numpy as np

from keras_activations.actions.affine import (
    CONVOLUTIONS,
    NORMALISATIONS,
    adapted,
    affine,
    mixable,
)
from keras_activations.actions.decorrelation import decorrelate, repeated_units
from keras_activations.actions.feeds import feeds, intercepted, untouched_averages
from keras_activations.actions.recurrent import (
    cell_gates,
    shrink_recurrent_kernel,
    standardise_inputs,
)
from keras_activations.actions.slots import forget
from keras_activations.actions.sound import (
    USUAL,
    Sound,
    constant_units,
    restart_units,
    standardise,
)
from keras_activations.activations.regions import activation_of, region_of
from keras_activations.health.suspects import UNSCALED_INPUTS
from keras_activations.telemetry.layouts import layer_paths
from keras_activations.telemetry.taps import all_layers

# Activations whose slope grows without end, and the deviation of pre-activations that
# keeps the greatest of them from deciding all that follows.
GROWING = ("exponential", "exp")
CAUTIOUS = 0.3


@dataclasses.dataclass
class Rescaled:
    """What came of rescaling a model.

    Attributes:
        paths: of the layers whose weights were changed.
        refused: dict of the path of a layer that was left alone to the reason.
    """

    paths: list
    refused: dict


def rescale(model, optimizer, inputs, also=(), alive=False):
    """Rescales the layers that feed the hidden activations of a model.

    Args:
        model: a built `keras.Model`.
        optimizer: its optimizer, whose slots of the changed weights start anew, or None.
        inputs: one batch, as the model is called with.
        also: paths of layers to be treated although they put out what the model does,
            or apply no activation.
        alive: bool, let rectified units be at their floor for few inputs instead of
            half of them, and set them apart: through many narrow layers no more than
            that is left of the input.

    Returns:
        `Rescaled`.

    Raises:
        NotTaken: if the model cannot be called on the inputs.
    """
    done, changed, paths = Rescaled([], {}), [], layer_paths(model)
    with untouched_averages(model):
        sources = _linear_layers(model, paths, also)
        sources |= _sources(feeds(model, inputs), paths, also, alive, done)
        for layer in _scaled_embeddings(model):
            changed.append(layer.embeddings)
            done.paths.append(paths[id(layer)])

        def treat(layer, call, args, kwargs):
            sound = sources.pop(id(layer), None)
            if sound is not None:
                variables, reason = _treated(layer, sound, call, args, kwargs)
                changed.extend(variables)
                if reason:
                    done.refused[paths[id(layer)]] = reason
                elif variables:
                    done.paths.append(paths[id(layer)])
            return call(*args, **kwargs)

        with intercepted(model, treat):
            model(inputs, training=True)
    forget(optimizer, changed)
    return done


def _scaled_embeddings(model):
    """Makes embeddings as large as scaled inputs are; gives the layers it changed."""
    layers = [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.Embedding)
        and layer.trainable
        and not adapted(layer)
    ]
    sizes = [float(keras.ops.std(layer.embeddings)) for layer in layers]
    large = [
        (x, s)
        for x, s in zip(layers, sizes, strict=True)
        if UNSCALED_INPUTS < s < math.inf
    ]
    for layer, size in large:
        layer.embeddings.assign(layer.embeddings / size)
    return [layer for layer, _ in large]


def _linear_layers(model, paths, also):
    """What is `Sound` for layers that feed no activation, by the layer's id."""
    return {
        id(layer): USUAL
        for layer in all_layers(model)
        if paths[id(layer)] in also
        and isinstance(layer, (keras.layers.Dense, *CONVOLUTIONS))
        and layer.activation is keras.activations.linear
        and layer.trainable
    }


def _sources(found, paths, also, alive, done):
    """The same for each layer that feeds one and is to be treated.

    What has none to treat is noted.
    """
    sources = {}
    for feed in found:
        own = paths[id(feed.layer)]
        source = None if feed.source is None else paths[id(feed.source)]
        if feed.is_output and not {own, source} & set(also):
            continue
        if source is None:
            done.refused[own] = "nothing that can be scaled comes before it"
        elif not feed.source.trainable:
            done.refused[source] = "it is frozen"
        else:
            sources[id(feed.source)] = _sound(feed.layer, alive)
    return sources


def _sound(layer, alive):
    if activation_of(layer) in GROWING:
        return Sound(deviation=CAUTIOUS)
    region = region_of(layer)
    rectified = region is not None and region.floor is not None
    return Sound(mean=1.0, apart=True) if alive and rectified else USUAL


def _treated(layer, sound, call, args, kwargs):
    """The variables that were changed, and a reason if none could be."""
    if isinstance(layer, keras.layers.RNN):
        if cell_gates(layer) is None:
            return [], f"the cell {type(layer.cell).__name__} is not known"
        sequence = args[0] if args else kwargs["sequences"]
        changed = standardise_inputs(layer, sequence)
        return changed + shrink_recurrent_kernel(layer), None

    def pre_activation():
        with _linear(layer):
            return call(*args, **kwargs)

    before = pre_activation()
    weights = affine(layer, before.shape.rank)
    if not np.isfinite(keras.ops.convert_to_numpy(keras.ops.sum(before))):
        return [], "its pre-activations are not finite"
    if adapted(layer):
        return [], "its kernel is quantised, or adapted by LoRA"
    drawn: np.ndarray | np.bool_ = np.False_
    for initializer in (weights.initializer, keras.initializers.GlorotUniform()):
        useless = constant_units(weights, before)
        if not isinstance(layer, NORMALISATIONS):  # what comes in is repeated there
            useless |= repeated_units(weights, before)
        if weights.kernel is None or not useless.any():
            break
        restart_units(weights, useless, initializer)
        before, drawn = pre_activation(), drawn | useless
    if sound.apart and mixable(layer) and not constant_units(weights, before).any():
        decorrelate(weights, before)
        before, drawn = pre_activation(), np.True_
    changed = standardise(weights, before, drawn, sound) | drawn
    return (weights.variables if changed.any() else []), None


@contextlib.contextmanager
def _linear(layer):
    own = vars(layer)
    if "activation" not in own:
        yield
        return
    # Straight into __dict__: Keras tracks attributes that are set otherwise.
    activation, own["activation"] = own["activation"], keras.activations.linear
    try:
        yield
    finally:
        own["activation"] = activation
