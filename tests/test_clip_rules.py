""" "clip" for illnesses of activations and of vanishing gradients."""

import keras
import numpy as np
import pytest

from tests import ill
from tests.ill import compiled, fit, treating


@pytest.mark.parametrize(
    ("rule", "hidden", "said", "least"),
    [
        ("saturation", ill.saturated, "within [-1.4, 1.4]", 0.3),
        ("saturation", ill.saturated_apart, "within [-2.9, 2.9]", 0.5),
        ("dead_units", ill.dead, "within [0.01, inf]", 0.3),
        ("dead_units", ill.dead_convolution, "within [0.01, inf]", 0.05),
    ],
)
def test_pre_activations_are_kept_where_there_is_slope(rule, hidden, said, least):
    monitor = treating("clip")
    model = compiled(hidden)
    plain = {id(layer): dict(vars(layer)) for layer in model.layers}
    accuracy = fit(model, monitor, epochs=5)["accuracy"][-1]
    found, done = monitor.findings[:2]
    assert (found.rule, done.action, done.layer) == (rule, "clip", found.layer)
    assert said in done.message
    assert accuracy > least
    for layer in model.layers:
        assert vars(layer).get("activation") is plain[id(layer)].get("activation")
        assert "call" not in vars(layer)


def test_lost_gradients_are_scaled_up():
    monitor = treating("clip")
    model = compiled(ill.vanishing, keras.optimizers.SGD(0.1))
    before = model.layers[0].kernel.numpy()
    fit(model, monitor, epochs=1)
    found, done = monitor.findings[:2]
    assert (found.rule, done.action) == ("vanishing_gradient", "clip")
    assert "up to a tenth of the greatest" in done.message
    # At the start its updates were of about 1e-6 of what it then moves.
    assert np.abs(model.layers[0].kernel.numpy() - before).max() > 1e-3


def test_what_cannot_be_clipped_is_said():
    def recurrent():
        wide = keras.initializers.RandomNormal(stddev=9.0)
        return [
            keras.layers.Reshape((8, 8)),
            keras.layers.SimpleRNN(8, kernel_initializer=wide),
        ]

    monitor = treating("clip")
    fit(compiled(recurrent), monitor, epochs=1)
    found, said = monitor.findings[:2]
    assert found.rule == "saturation"
    assert said.action == "warn"
    assert "cannot be clipped: the activation inside a recurrent layer" in said.message
