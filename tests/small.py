"""A small model and the data that it is fitted to."""

import keras
import numpy as np

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = X[:, :1]


def make_model(*inner):
    inner = inner or (keras.layers.Dense(3, "tanh", name="hidden"),)
    layers = [keras.Input((4,)), *inner, keras.layers.Dense(1, name="head")]
    model = keras.Sequential(layers, name="model")
    model.compile("adam", "mse")
    return model


def fit(model, monitor, x=X, y=Y, **options):
    options = {"batch_size": 4, "verbose": 0, **options}
    return model.fit(x, y, callbacks=[monitor], **options)
