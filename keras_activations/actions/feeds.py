"""Which weights feed which activation, seen in one forward pass."""

import contextlib
import dataclasses
from typing import Any

import keras

from keras_activations.actions.affine import NORMALISATIONS, affine
from keras_activations.activations.regions import activation_of
from keras_activations.telemetry.taps import all_layers

# They hand on what a unit puts out, up to zeros and noise.
_PASSING = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
)


class NotTaken(Exception):
    """A model that cannot be called on the inputs of a batch; the message says why."""


@dataclasses.dataclass(frozen=True)
class Feed:
    """An activation and what feeds it.

    Attributes:
        layer: the layer that applies the activation; a recurrent one stands for itself.
        source: the layer whose weights shape the pre-activation, None if there is none.
        is_output: whether the activation's output is one of the model's.
    """

    layer: Any
    source: Any
    is_output: bool


@contextlib.contextmanager
def intercepted(model, around):
    """While it is open, `around(layer, call, args, kwargs)` stands for each call."""
    layers = all_layers(model)
    replaced = []

    def replacing(layer, call):
        return lambda *args, **kwargs: around(layer, call, args, kwargs)

    try:
        for layer in layers:
            own = vars(layer)
            replaced.append((own, "call" in own, own.get("call")))
            own["call"] = replacing(layer, layer.call)
        yield
    finally:
        for own, was_set, before in replaced:
            if was_set:
                own["call"] = before
            else:
                own.pop("call", None)


@contextlib.contextmanager
def untouched_averages(model):
    """While it is open, the model may be called; what it keeps count of is put back."""
    # What the ill network puts out is nothing for moving averages to follow.
    kept = [
        (v, keras.ops.convert_to_numpy(v.value)) for v in model.non_trainable_variables
    ]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def output_of(model, inputs):
    """What a model puts out in training.

    Raises:
        NotTaken: if it cannot be called so, as where its own `train_step` makes of a
            batch what the model takes.
    """
    try:
        return model(inputs, training=True)
    except Exception as error:  # the user's code may raise anything
        raise NotTaken(f"the model cannot be called on a batch ({error})") from error


def feeds(model, inputs):
    """The activations of a model in execution order, each a `Feed`.

    Raises:
        NotTaken: see `output_of`.
    """
    sources: dict = {}
    found, kept = {}, []  # kept alive, so that no two tensors share an id

    def note(layer, call, args, kwargs):
        output = call(*args, **kwargs)
        kept.append((args, output))
        if id(layer) in found:
            return output
        first = keras.tree.flatten((args, kwargs))[:1]
        source = sources.get(id(first[0])) if first else None
        applied = activation_of(layer)
        weighs = _weighs(layer, output)
        if isinstance(layer, keras.layers.RNN) or weighs and applied is not None:
            found[id(layer)] = (layer, layer, output)
        elif weighs:
            sources[id(output)] = layer
        elif isinstance(layer, _PASSING) and source is not None:
            sources[id(output)] = source
        elif applied is not None:
            found[id(layer)] = (layer, source, output)
        return output

    with intercepted(model, note):
        outputs = {id(x) for x in keras.tree.flatten(output_of(model, inputs))}
    return [
        Feed(layer, source, any(id(x) in outputs for x in keras.tree.flatten(output)))
        for layer, source, output in found.values()
    ]


def _weighs(layer, output):
    if isinstance(layer, NORMALISATIONS) and not layer.weights:
        return False
    rank = getattr(getattr(output, "shape", None), "rank", None)
    return rank is not None and affine(layer, rank) is not None
