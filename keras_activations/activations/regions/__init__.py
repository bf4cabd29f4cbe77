"""Where each activation function saturates, and what its floor is."""

from keras_activations.activations.regions.lookup import activation_of, region_of
from keras_activations.activations.regions.region import Region

__all__ = ["Region", "activation_of", "region_of"]
