"""The demo: three networks read handwritten digits, one healthy and two ill."""

from keras_activations.demo.curves import LOG_DIR
from keras_activations.demo.story import run_demo

__all__ = ["LOG_DIR", "run_demo"]
