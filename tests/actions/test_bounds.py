import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_activations.actions.bounds import Bounds
from keras_activations.activations.regions import activation_of, region_of
from keras_activations.telemetry.layouts import layer_paths

X = np.linspace(-8, 8, 12).reshape(4, 3).astype("float32")


def network(hidden):
    model = keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(1, name="head")])
    return model, layer_paths(model)[id(hidden[-1])]


@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.Dense(4, "tanh")],
        lambda: [layers.Dense(4), layers.Activation("tanh")],
        lambda: [layers.Dense(4), layers.ReLU()],
        lambda: [
            layers.Dense(4, functools.partial(keras.activations.relu, max_value=2.0))
        ],
    ],
    ids=["fused", "separate", "own layer", "partial"],
)
def test_only_while_it_is_in_place(make):
    hidden = make()
    model, path = network(hidden)
    layer, inner = hidden[-1], keras.Model(model.inputs[0], hidden[-1].output)
    plain, name = inner(X).numpy(), activation_of(layer)
    attributes = dict(vars(layer))
    bounds = Bounds(model)
    assert bounds.add(path) is None
    np.testing.assert_array_equal(inner(X), plain)
    region = region_of(layer)
    with bounds.in_place():
        bounded = inner(X).numpy()
        # Telemetry knows it by what it was.
        assert (activation_of(layer), region_of(layer)) == (name, region)
    assert np.abs(bounded - plain).max() > 0.009
    assert vars(layer) == attributes
    np.testing.assert_array_equal(inner(X), plain)


def test_what_cannot_be_bounded_is_said():
    model, _ = network(
        [
            layers.Dense(4, "softmax", name="softmax"),
            layers.Dense(4, name="linear"),
            layers.Reshape((4, 1)),
            layers.LSTM(3, name="lstm"),
            layers.Dense(4, lambda x: 0 * x, name="flat"),
        ]
    )
    bounds = Bounds(model)
    paths = {layer.name: path for layer in model.layers for path in [layer.path]}
    assert "all units together" in bounds.add(paths["softmax"])
    assert "part of its kernel" in bounds.add(paths["lstm"])
    assert "flat everywhere" in bounds.add(paths["flat"])
    assert "no layer" in bounds.add("nowhere")


@pytest.mark.parametrize("fused", [True, False])
def test_a_gradient_that_is_not_finite_is_kept_out(fused):
    def root(x):
        return keras.ops.sqrt(keras.ops.relu(x))

    hidden = (
        [layers.Dense(4, root, name="hidden")]
        if fused
        else [layers.Dense(4, name="hidden"), layers.Activation(root)]
    )
    model, _ = network(hidden)
    bounds = Bounds(model)
    bounds.filter_gradient(hidden[0].path)

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(X))
        return tape.gradient(loss, hidden[0].kernel.value).numpy()

    assert np.isnan(gradient()).any()
    with bounds.in_place():
        assert np.isfinite(gradient()).all()
        assert gradient().any()
