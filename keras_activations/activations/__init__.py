"""What a layer computes and where it saturates: functions, layers, regions."""

from keras_activations.activations import functional
from keras_activations.activations.clipped_tanh import ClippedTanh
from keras_activations.activations.hard_swish import HardSwish
from keras_activations.activations.regions import Region, activation_of, region_of
from keras_activations.activations.relu6 import ReLU6
from keras_activations.activations.stable_gelu import StableGELU

__all__ = [
    "ClippedTanh",
    "HardSwish",
    "ReLU6",
    "Region",
    "StableGELU",
    "activation_of",
    "functional",
    "region_of",
]
