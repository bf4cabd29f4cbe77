"""Layers as one writes them at first, which divide by 0 or take its logarithm."""

import keras

layers = keras.layers
ops = keras.ops


class Standardise(layers.Layer):
    """Each column of the batch to mean 0 and deviation 1, as one writes it at first."""

    def __init__(self, epsilon=0.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, x):
        deviation = ops.sqrt(ops.mean(ops.square(x - ops.mean(x, axis=0)), axis=0))
        return (x - ops.mean(x, axis=0)) / (deviation + self.epsilon)


class SquareRoot(layers.Layer):
    """The square root of what is positive; its slope at 0 is infinite."""

    def __init__(self, epsilon=0.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, x):
        return ops.sqrt(ops.relu(x) + self.epsilon)


class Logarithm(layers.Layer):
    """The logarithm of a rectified value."""

    def __init__(self, epsilon=0.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, x):
        return ops.log(ops.relu(x) + self.epsilon)


class UnitLength(layers.Layer):
    """Rows divided by their length; those of zeros have none."""

    def __init__(self, epsilon=0.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, x):
        x = ops.relu(x - 0.5)
        return x / (ops.norm(x, axis=-1, keepdims=True) + self.epsilon)


class Shares(layers.Layer):
    """Exponentials divided by their sum: softmax as one writes it at first."""

    def __init__(self, scale=1.0, **options):
        super().__init__(**options)
        self.scale = scale

    def call(self, x):
        x = ops.exp(x * self.scale)
        return x / ops.sum(x, axis=-1, keepdims=True)
