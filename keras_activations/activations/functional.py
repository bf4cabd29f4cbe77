"""The four activations as pure functions of a tensor.

All of them take any float dtype, keep it, and give a finite value and a finite
gradient for every finite input. NaN stays NaN, so that a fault is seen where
it arises. Each one is registered, so `activation=hard_swish` in a Keras layer is
saved with the model and comes back as this very function. A symbolic tensor
goes through the function's layer, and is saved as one node with its configuration.
"""

from keras_activations.activations.clipped_tanh import clipped_tanh
from keras_activations.activations.hard_swish import hard_swish
from keras_activations.activations.relu6 import relu6
from keras_activations.activations.stable_gelu import stable_gelu

__all__ = [
    "clipped_tanh",
    "hard_swish",
    "relu6",
    "stable_gelu",
]
