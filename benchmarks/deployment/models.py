"""The layers that are converted, and small models of each."""

import keras
import numpy as np

import keras_activations as ka

FEATURES = 16
# Name to (layer, operations of TensorFlow Lite that it may become).
CLIPPED = ("MINIMUM", "MAXIMUM", "TANH")
LAYERS = {
    "ClippedTanh()": (ka.ClippedTanh, CLIPPED),
    'ClippedTanh(outside_gradient="inward")': (
        lambda: ka.ClippedTanh(outside_gradient="inward"),
        CLIPPED,
    ),
    "ReLU6()": (ka.ReLU6, ("RELU6",)),
    "HardSwish()": (ka.HardSwish, ("HARD_SWISH",)),
    "StableGELU()": (ka.StableGELU, ("MAXIMUM", "GELU")),
    "StableGELU(approximate=True)": (lambda: ka.StableGELU(approximate=True), None),
}


def sequential(layer):
    """A layer between two dense ones."""
    dense = keras.layers.Dense
    return keras.Sequential(
        [keras.Input((FEATURES,)), dense(FEATURES), layer, dense(4)]
    )


def functional(layer):
    """A layer after a convolution, and a path around it."""
    inputs = keras.Input((6, 6, 3))
    y = layer(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    y = keras.layers.GlobalAveragePooling2D()(y)
    return keras.Model(inputs, keras.layers.Dense(4)(y))


def alone(layer):
    """Nothing but the layer, so that an error is its own."""
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, layer(inputs))


def samples(model, count=256):
    """Representative inputs, float32: pre-activations of deviation 3."""
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(0).normal(0, 3, shape).astype("float32")
