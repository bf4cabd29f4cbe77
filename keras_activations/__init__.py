"""Activation layers for Keras, and a callback that says which layer is ill."""

from keras_activations.actions.responses import FindingError
from keras_activations.activations import functional
from keras_activations.activations.clipped_tanh import ClippedTanh
from keras_activations.activations.hard_swish import HardSwish
from keras_activations.activations.relu6 import ReLU6
from keras_activations.activations.stable_gelu import StableGELU
from keras_activations.health import rules
from keras_activations.health.finding import Finding
from keras_activations.monitor import ActivationMonitor
from keras_activations.telemetry.stats import LayerStats

__all__ = [
    "ActivationMonitor",
    "ClippedTanh",
    "Finding",
    "FindingError",
    "HardSwish",
    "LayerStats",
    "ReLU6",
    "StableGELU",
    "functional",
    "rules",
]
