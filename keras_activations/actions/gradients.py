"""Gradients, dense or of the rows of an embedding alone."""

import tensorflow as tf

from keras_activations.telemetry.faults import sums_of_squares, values_of


def scaled(gradient, scale):
    """The gradient times a number; None stays None."""
    return mapped(gradient, lambda values: values * tf.cast(scale, values.dtype))


def without_nonfinite(gradients):
    """The gradients with zeros for entries that are not finite."""

    def zeroed(values):
        return tf.where(tf.math.is_finite(values), values, tf.zeros_like(values))

    return [mapped(gradient, zeroed) for gradient in gradients]


def squares(gradients, scale=None):
    """Squared norms of those that are not None, with a loss scale taken out."""
    found = sums_of_squares([values_of(g) for g in gradients if g is not None])
    if scale is None:
        return found
    return [s / tf.square(tf.cast(scale, s.dtype)) for s in found]


def mapped(gradient, function):
    """What a function makes of a gradient's values."""
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        values = function(gradient.values)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return function(gradient)
