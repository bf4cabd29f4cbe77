"""Shrinking: weights that make a layer behind them overflow are scaled down.

A softmax written as exponentials divided by their sum overflows before any update has
been made if what it gets is too large, and then there is nothing to go back to.
"""

import keras

from keras_activations.actions.affine import adapted, affine
from keras_activations.actions.feeds import intercepted, output_of, untouched_averages
from keras_activations.actions.slots import forget
from keras_activations.telemetry.layouts import layer_at

STEP = 0.25
STEPS = 8
# Finite is not enough: where they nearly overflow, exponentials choose one unit.
ROOM = 1 / 64
NEAREST = 3  # layers that are tried, from the ill one backwards


def shrink_before(model, optimizer, path, inputs):
    """Scales down the last weights before what a layer puts out, until it is finite.

    Args:
        model: a built `keras.Model`.
        optimizer: its optimizer, whose slots of the changed weights start anew, or None.
        path: of the layer whose output is not finite.
        inputs: one batch, as the model is called with.

    Returns:
        the path of the layer whose weights were scaled and the factor; None if no
        layer's weights make the output finite, and then none is changed.

    Raises:
        NotTaken: if the model cannot be called on the inputs.
    """
    ill = layer_at(model, path)
    with untouched_averages(model):
        finite, before = _looked_at(model, ill, inputs)
        if finite:
            return None  # with another batch it was not: no size to go by
        for layer, variables in before[-NEAREST:][::-1]:
            factor = _factor(model, ill, variables, inputs)
            if factor is not None:
                _scale(variables, _values(variables), factor)
                forget(optimizer, variables)
                return layer.path, factor
    return None


def _factor(model, ill, variables, inputs):
    """By what to scale the variables, None if no factor will do; leaves them as they are."""
    kept = _values(variables)
    try:
        for number in range(1, STEPS + 1):
            _scale(variables, kept, STEP**number)
            if _looked_at(model, ill, inputs)[0]:
                return ROOM * STEP**number
    finally:
        _scale(variables, kept, 1.0)
    return None


def _looked_at(model, ill, inputs):
    """Whether the layer's output is finite, and what can be scaled up to there."""
    before: dict = {}
    outputs: list = []

    def note(layer, call, args, kwargs):
        output = call(*args, **kwargs)
        if not outputs and _can_be_scaled(layer, output):
            before[id(layer)] = layer, affine(layer, output.shape.rank).variables
        if layer is ill:
            outputs.extend(keras.tree.flatten(output))
        return output

    with intercepted(model, note):
        output_of(model, inputs)
    finite = all(bool(keras.ops.all(keras.ops.isfinite(x))) for x in outputs)
    return finite, list(before.values())


def _can_be_scaled(layer, output):
    rank = getattr(getattr(output, "shape", None), "rank", None)
    known = rank is not None and affine(layer, rank) is not None
    return known and layer.trainable and not adapted(layer)


def _values(variables):
    return [keras.ops.convert_to_numpy(v.value) for v in variables]


def _scale(variables, values, factor):
    for variable, value in zip(variables, values, strict=True):
        variable.assign((value * factor).astype(value.dtype))
