"""Weights that make a layer behind them overflow before any update has been made."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_activations.actions.feeds import NotTaken
from keras_activations.actions.shrinking import shrink_before
from tests.ill import treating


@keras.saving.register_keras_serializable("test_shrinking")
class Careless(layers.Layer):
    """A softmax as one writes it at first."""

    def call(self, x):
        x = ops.exp(40 * x)
        return x / ops.sum(x, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("test_shrinking")
class Logarithm(layers.Layer):
    def call(self, x):
        return ops.log(x - x)


def model_with(*between, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", bias_initializer="ones"),
            layers.Dense(16, bias_initializer="ones"),
            *between,
            layers.Dense(3, "softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"], **options)
    return model


def separable():
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1)


def test_the_nearest_weights_are_scaled_until_nothing_overflows():
    model = model_with(layers.Dropout(0.5), Careless(name="ill"))
    x, _ = separable()
    before = [v.numpy() for v in model.variables]

    path, factor = shrink_before(model, None, f"{model.name}/ill", x)

    scaled = model.layers[1]
    assert path == scaled.path
    assert 0 < factor < 1
    for variable, old in zip(model.variables, before, strict=True):
        share = factor if any(variable is v for v in scaled.variables) else 1.0
        np.testing.assert_allclose(variable.numpy(), share * old, rtol=1e-6)
    # An exponential of 88 overflows; dropout doubles what it leaves.
    arriving = keras.Model(model.inputs, scaled.output)
    assert 0.1 < 2 * 40 * np.abs(arriving.predict(x, verbose=0)).max() < 88 / 8


def test_weights_that_are_not_to_blame_stay():
    model = model_with(Logarithm(name="ill"))
    x, _ = separable()
    before = [v.numpy() for v in model.variables]
    assert shrink_before(model, None, f"{model.name}/ill", x) is None
    for variable, old in zip(model.variables, before, strict=True):
        assert (variable.numpy() == old).all()


def test_a_layer_that_refuses_smaller_weights_leaves_them_as_they_were():
    class Refusing(Careless):
        calls = 0

        def call(self, x):
            self.calls += 1
            if self.calls == 2:  # the first look is over
                raise ValueError("no")
            return super().call(x)

    refusing = Refusing(name="ill")
    model = model_with(refusing)
    refusing.calls = 0  # Keras's own, while the model was built, do not count
    x, _ = separable()
    before = [v.numpy() for v in model.variables]
    with pytest.raises(NotTaken, match="no"):
        shrink_before(model, None, f"{model.name}/ill", x)
    for variable, old in zip(model.variables, before, strict=True):
        assert (variable.numpy() == old).all()


@pytest.mark.parametrize("jit", [False, True])
def test_a_run_that_overflows_at_its_first_step_goes_on(jit):
    model = model_with(Careless(), jit_compile=jit)
    x, y = separable()
    monitor = treating("rescue")
    history = model.fit(x, y, epochs=60, verbose=0, callbacks=[monitor])
    done = next(f for f in monitor.findings if "try 1" in f.message)
    assert f"scaled the weights of {model.layers[1].path}" in done.message
    assert history.history["accuracy"][-1] > 0.8
