"""The networks that are timed, batch 128."""

import keras
import numpy as np
from keras import layers

BATCH = 128


def mlp():
    hidden = [layers.Dense(512, "relu") for _ in range(4)]
    return [keras.Input((784,)), *hidden, layers.Dense(10, "softmax")]


def cnn():
    return [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, "softmax"),
    ]


class Block(layers.Layer):
    """A transformer block of width 128."""

    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(4, 32)
        self.norms = [layers.LayerNormalization() for _ in range(2)]
        self.feed = [layers.Dense(256, "gelu"), layers.Dense(128)]

    def build(self, shape):
        self.attention.build(shape, shape)
        for norm in self.norms:
            norm.build(shape)
        self.feed[0].build(shape)
        self.feed[1].build((*shape[:-1], 256))

    def call(self, x):
        x = self.norms[0](x + self.attention(x, x))
        return self.norms[1](x + self.feed[1](self.feed[0](x)))


def transformer():
    head = [layers.GlobalAveragePooling1D(), layers.Dense(10, "softmax")]
    return [keras.Input((64, 128)), Block(), Block(), Block(), *head]


NETWORKS = {"MLP": mlp, "CNN": cnn, "transformer": transformer}


def build(name, jit):
    """A compiled network, the same weights each time."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(NETWORKS[name]())
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit)
    return model


def data(name, steps):
    """Batches of noise: what is timed does not depend on the values."""
    shape = NETWORKS[name]()[0].shape[1:]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * steps, *shape)).astype("float32")
    return x, rng.integers(0, 10, len(x))
