"""The region of a function, a name or a layer, and the name of what a layer applies."""

import functools
from typing import Any

import keras

from keras_activations.activations.regions.table import FUNCTIONS, LAYERS


def region_of(activation):
    """The region of an activation function, or of the one a layer applies.

    Args:
        activation: a name in `keras.activations`, a function of Keras, TensorFlow
            or this package, a `functools.partial` of one with keywords, or a
            layer: an activation layer, one with an `activation`, or a recurrent
            one, whose outputs are taken to be its activation's.

    Returns:
        A `Region`, or None when nothing is known of the activation.

    Example:

    >>> region_of("sigmoid").histogram
    (0.0, 1.0)
    >>> region_of(keras.layers.ReLU(max_value=2.0)).saturated_above
    2.0
    >>> region_of(lambda x: x * x) is None
    True
    """
    if isinstance(activation, str):
        activation = getattr(keras.activations, activation, None)
    if isinstance(activation, keras.layers.Layer):
        for kind in type(activation).__mro__:
            if kind in LAYERS:
                return LAYERS[kind](activation)
        return region_of(_applied(activation))
    function, keywords = _unwrap(activation)
    row: Any = FUNCTIONS.get(getattr(function, "__name__", ""))
    # By name and home: `tf.nn.relu` is as good as Keras's, a user's `relu` is not.
    home = (getattr(function, "__module__", None) or "").split(".")[0]
    if row is None or home not in ("keras", "keras_activations", "tensorflow"):
        return None
    try:
        return row(**keywords)
    except TypeError:  # a keyword, or the lack of one, that the row does not know
        return None


def activation_of(layer):
    """The name of the activation a layer applies.

    Args:
        layer: a Keras layer.

    Returns:
        The function's name, or the class name of an activation layer. None when
        the layer applies no activation or the linear one.

    Example:

    >>> activation_of(keras.layers.Dense(3, activation="tanh"))
    'tanh'
    >>> activation_of(keras.layers.LeakyReLU())
    'LeakyReLU'
    >>> activation_of(keras.layers.Dense(3)) is None
    True
    """
    if isinstance(layer, tuple(LAYERS)):
        return type(layer).__name__
    activation = _applied(layer)
    if activation is None:
        return None
    if isinstance(activation, keras.layers.Layer):
        return activation_of(activation)
    function, _ = _unwrap(activation)
    name = getattr(function, "__name__", type(function).__name__)
    return None if name == "linear" else name


def _applied(layer):
    if isinstance(layer, keras.layers.RNN):
        layer = layer.cell
        while getattr(layer, "cells", None):
            layer = layer.cells[-1]
    return getattr(layer, "activation", None)


def _unwrap(activation):
    if isinstance(activation, functools.partial) and not activation.args:
        return activation.func, activation.keywords
    return activation, {}
