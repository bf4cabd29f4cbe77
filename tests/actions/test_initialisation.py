"""Weights that start as no initialiser draws them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_activations.actions.initialisation import draw_anew, scale_down


def test_kernels_that_are_alike_are_drawn_anew_and_no_others():
    hidden = [
        layers.Dense(16, "relu", kernel_initializer="ones", bias_initializer="ones"),
        layers.Dense(16, "relu", kernel_initializer="zeros"),
        layers.Dense(16, "relu"),
        layers.Dense(16, "relu", kernel_initializer="ones", trainable=False),
        layers.Dense(16, kernel_initializer="ones", kernel_constraint="non_neg"),
        layers.Dense(2, "relu", kernel_initializer="ones"),
    ]
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(4, 8))
    model.fit(x, x[:, :1], verbose=0)
    before = [v.numpy() for v in model.variables]
    keras.utils.set_random_seed(7)
    first = np.asarray(keras.random.normal((2,)))
    keras.utils.set_random_seed(7)

    assert draw_anew(model, model.optimizer) == [hidden[0].path]

    # The run's own draws go on as they would have.
    assert (np.asarray(keras.random.normal((2,))) == first).all()
    kernel = hidden[0].kernel
    changed = [
        v is kernel
        for v, old in zip(model.variables, before, strict=True)
        if not (v.numpy() == old).all()
    ]
    assert changed == [True]
    assert abs(kernel.numpy().mean()) < 0.1
    assert kernel.numpy().std() > 0.1
    [momentum] = [m for m in model.optimizer.variables if m.shape == kernel.shape]
    assert not momentum.numpy().any()


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_is_left_to_others(value):
    layer = layers.Dense(16, kernel_initializer=keras.initializers.Constant(value))
    model = keras.Sequential([keras.Input((8,)), layer])
    assert draw_anew(model, None) == scale_down(model, None) == []


def test_what_is_drawn_is_the_same_each_time():
    found = []
    for _ in range(2):
        layer = layers.Dense(16, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((8,)), layer])
        draw_anew(model, None)
        found.append(layer.kernel.numpy())
    assert (found[0] == found[1]).all()
