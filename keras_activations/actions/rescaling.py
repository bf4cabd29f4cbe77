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

import keras
import numpy as np

from keras_activations.actions.affine import (
    affine,
    constant_units,
    restart_units,
    standardise,
)
from keras_activations.actions.feeds import feeds, intercepted
from keras_activations.actions.recurrent import (
    cell_gates,
    shrink_recurrent_kernel,
    standardise_inputs,
)
from keras_activations.actions.slots import forget
from keras_activations.telemetry.layouts import layer_paths


@dataclasses.dataclass
class Rescaled:
    """What came of rescaling a model.

    Attributes:
        paths: of the layers whose weights were changed.
        refused: dict of the path of a layer that was left alone to the reason.
    """

    paths: list
    refused: dict


def rescale(model, optimizer, inputs, also=()):
    """Rescales the layers that feed the hidden activations of a model.

    Args:
        model: a built `keras.Model`.
        optimizer: its optimizer, whose slots of the changed weights start anew, or None.
        inputs: one batch, as the model is called with.
        also: paths of layers to be treated although they put out what the model does.

    Returns:
        `Rescaled`.
    """
    done, changed, paths = Rescaled([], {}), [], layer_paths(model)
    with _untouched_averages(model):
        sources = _sources(feeds(model, inputs), paths, also, done)

        def treat(layer, call, args, kwargs):
            if sources.pop(id(layer), None) is not None:
                variables, reason = _treated(layer, call, args, kwargs)
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


def _sources(found, paths, also, done):
    """The layers to treat, by id; what has none to treat is noted."""
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
            sources[id(feed.source)] = feed.source
    return sources


def _treated(layer, call, args, kwargs):
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
    if getattr(layer, "lora_enabled", False) or getattr(
        layer, "quantization_mode", None
    ):
        return [], "its kernel is quantised, or adapted by LoRA"
    drawn = np.False_
    for initializer in (weights.initializer, keras.initializers.GlorotUniform()):
        constant = constant_units(weights, before)
        if weights.kernel is None or not constant.any():
            break
        restart_units(weights, constant, initializer)
        before, drawn = pre_activation(), drawn | constant
    changed = standardise(weights, before, drawn) | drawn
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


@contextlib.contextmanager
def _untouched_averages(model):
    # What the ill network puts out is nothing for moving averages to follow.
    kept = [
        (v, keras.ops.convert_to_numpy(v.value)) for v in model.non_trainable_variables
    ]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)
