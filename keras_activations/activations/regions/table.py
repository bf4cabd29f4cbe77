"""The row of each function, by its name, and of each activation layer."""

import keras

from keras_activations.activations.clipped_tanh import ClippedTanh
from keras_activations.activations.hard_swish import HardSwish
from keras_activations.activations.regions import rows
from keras_activations.activations.regions.region import Region
from keras_activations.activations.relu6 import ReLU6
from keras_activations.activations.stable_gelu import StableGELU

# The function's name: its region, given the keywords it was bound to.
FUNCTIONS = {
    "celu": rows.celu,
    "clipped_tanh": rows.clipped_tanh,
    "elu": rows.elu,
    # The slope has no greatest value to compare with.
    "exponential": lambda: Region(0.0),
    "gelu": rows.gelu,
    "glu": lambda axis=-1: Region(elementwise=False),
    "hard_shrink": rows.shrink,
    "hard_sigmoid": lambda: rows.bounded(0.0, 1.0, 0.0, 1.0),
    "hard_silu": rows.hard_swish,
    "hard_swish": rows.hard_swish,
    "hard_tanh": lambda: rows.bounded(-1.0, 1.0, -1.0, 1.0),
    "leaky_relu": rows.leaky_relu,
    "linear": Region,
    "log_sigmoid": rows.log_sigmoid,
    "log_softmax": lambda axis=-1: Region(upper=0.0, elementwise=False),
    "mish": rows.mish,
    "relu": rows.relu,
    "relu6": lambda: rows.relu(max_value=6.0),
    "selu": rows.selu,
    "sigmoid": rows.sigmoid,
    "silu": rows.silu,
    "soft_shrink": rows.shrink,
    "softmax": lambda axis=-1: rows.bounded(0.0, 1.0, elementwise=False),
    "softplus": rows.softplus,
    "softsign": rows.softsign,
    "sparse_plus": rows.sparse_plus,
    "sparse_sigmoid": lambda: rows.bounded(0.0, 1.0, 0.0, 1.0),
    "sparsemax": lambda axis=-1: rows.bounded(0.0, 1.0, elementwise=False),
    "squareplus": rows.squareplus,
    "stable_gelu": rows.gelu,
    "swish": rows.silu,
    "tanh": rows.tanh,
    # Flat at one point only.
    "tanh_shrink": Region,
    "threshold": rows.threshold,
}

LAYERS = {
    ClippedTanh: lambda layer: rows.clipped_tanh(layer.limit),
    ReLU6: lambda layer: rows.relu(max_value=6.0),
    HardSwish: lambda layer: rows.hard_swish(),
    StableGELU: lambda layer: rows.gelu(layer.approximate),
    keras.layers.ReLU: lambda layer: rows.relu(
        layer.negative_slope, layer.max_value, layer.threshold
    ),
    keras.layers.LeakyReLU: lambda layer: rows.leaky_relu(layer.negative_slope),
    keras.layers.ELU: lambda layer: rows.elu(layer.alpha),
    keras.layers.PReLU: lambda layer: Region(),
    keras.layers.Softmax: lambda layer: rows.bounded(0.0, 1.0, elementwise=False),
}
