"""Bounds: activations whose pre-activations are kept where there is slope, and layers
that no gradient enters that is not finite, or only a share of it.

The layers are as the user made them but for the time in which a step is traced: what
is saved, cloned or looked at between steps never has a bound in it.
"""

import contextlib
import functools

import keras

from keras_activations.actions.slopes import (
    finite_gradient,
    inward,
    scaled_gradient,
    sloped,
)
from keras_activations.activations.regions import region_of
from keras_activations.telemetry.layouts import layer_at


class Bounds:
    """The bounds of one model's activations.

    Args:
        model: a `keras.Model`.
    """

    def __init__(self, model):
        self._model = model
        self._layers = {}
        self._filtered = {}
        self._scaled = {}

    def add(self, path):
        """Bounds the activation of the layer with that path, from the next tracing on.

        Args:
            path: the layer's path, as in a `Layout`.

        Returns:
            None, or a reason why it cannot be bounded.
        """
        layer = layer_at(self._model, path)
        if layer is None:
            return "no layer has this path"
        if isinstance(layer, keras.layers.RNN):
            return "the activation inside a recurrent layer is part of its kernel"
        region = region_of(layer)
        if region is not None and not region.elementwise:
            return "its activation looks at all units together"
        activation, _ = _activation(layer)
        if activation is None:
            return "it applies no activation"
        limits = sloped(activation)
        if limits is None:
            return "its activation is flat everywhere"
        self._layers[path] = layer, limits
        return None

    def filter_gradient(self, path):
        """Lets no gradient that is not finite into the layer with that path.

        Example by example and unit by unit, before the sum over examples would spread
        it: what is left of the gradient is right. From the next tracing on.
        """
        layer = layer_at(self._model, path)
        if layer is not None:
            self._filtered[path] = layer

    def scale_gradient(self, layer, factor):
        """Multiplies the gradient at the output of a layer, from the next tracing on."""
        self._scaled[id(layer)] = layer, factor

    def of(self, path):
        """The bounds of that layer's pre-activations, or None."""
        return self._layers[path][1] if path in self._layers else None

    @contextlib.contextmanager
    def in_place(self):
        """While it is open, the activations are bounded."""
        replaced = []

        def replace(layer, name, function):
            # Straight into __dict__: Keras tracks attributes that are set otherwise.
            own = vars(layer)
            replaced.append((own, name, name in own, own.get(name)))
            own[name] = function

        try:
            for layer, limits in self._layers.values():
                activation, name = _activation(layer)
                replace(layer, name, _bounded(activation, *limits))
            for layer in self._filtered.values():
                if callable(getattr(layer, "activation", None)):
                    replace(layer, "activation", _behind_filter(layer.activation))
                replace(layer, "call", _followed_by(finite_gradient, layer.call))
            for layer, factor in self._scaled.values():
                replace(
                    layer, "call", _followed_by(scaled_gradient(factor), layer.call)
                )
            yield
        finally:
            for own, name, was_set, before in reversed(replaced):
                if was_set:
                    own[name] = before
                else:
                    own.pop(name, None)


def _activation(layer):
    """What applies the activation, and the attribute that holds it."""
    if getattr(layer, "kernel", None) is None and not hasattr(
        layer, "pointwise_kernel"
    ):
        return layer.call, "call"  # a layer that is an activation
    return getattr(layer, "activation", None), "activation"


def _bounded(activation, low, high):
    if isinstance(activation, functools.partial) and not activation.args:
        # Regions know a function by its name, and what it is bound to.
        return functools.partial(
            inward(activation.func, low, high), **activation.keywords
        )
    return inward(activation, low, high)


def _behind_filter(activation):
    @functools.wraps(activation)
    def filtered(x, *args, **kwargs):
        return activation(finite_gradient(x), *args, **kwargs)

    return filtered


def _followed_by(function, call):
    @functools.wraps(call)
    def followed(*args, **kwargs):
        return keras.tree.map_structure(function, call(*args, **kwargs))

    return followed
