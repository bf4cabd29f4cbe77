"""Which layers' distributions are sampled."""

import difflib
from fnmatch import fnmatchcase

import keras

from keras_activations.activations.regions import activation_of
from keras_activations.telemetry.taps import all_layers, sublayers


def selector(layers):
    """Checks the `layers` argument and gives a function `layer -> bool`.

    Args:
        layers: `"auto"` (every layer that applies a non-linear activation, and
            recurrent layers), `"all"` (every leaf layer), a list of names, paths
            or glob patterns, or a callable `layer -> bool`.

    Raises:
        ValueError: if it is none of these.
    """
    if layers == "auto":
        return _applies_activation
    if layers == "all":
        return lambda layer: not sublayers(layer)
    if callable(layers):
        return lambda layer: bool(layers(layer))
    if isinstance(layers, (list, tuple)) and all(isinstance(p, str) for p in layers):
        patterns = tuple(layers)
        return lambda layer: any(_matches(layer, pattern) for pattern in patterns)
    raise ValueError(
        '`layers` must be "auto", "all", a list of names, paths or patterns, or a '
        f"callable (layer) -> bool. Received: layers={layers!r}"
    )


def check_patterns(model, layers):
    """Refuses patterns that match no layer of the model, with the close matches.

    Raises:
        ValueError: naming the first pattern that matches nothing.
    """
    if not isinstance(layers, (list, tuple)):
        return
    known = [model, *all_layers(model)]
    for pattern in layers:
        if any(_matches(layer, pattern) for layer in known):
            continue
        names = sorted({n for layer in known for n in (layer.name, layer.path) if n})
        close = difflib.get_close_matches(pattern, names, n=3)
        hint = f"Close matches: {close}" if close else f"The model has: {names[:20]}"
        raise ValueError(
            f"`layers` holds a pattern that matches no layer of the model "
            f"{model.name!r}. {hint}. Received: {pattern!r}"
        )


def _matches(layer, pattern):
    return any(
        name == pattern or fnmatchcase(name, pattern)
        for name in (layer.name, layer.path)
        if name
    )


def _applies_activation(layer):
    return isinstance(layer, keras.layers.RNN) or activation_of(layer) is not None
