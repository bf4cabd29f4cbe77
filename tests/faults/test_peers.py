"""Peers: their published thresholds, on figures made by hand."""

import types

import keras
import numpy as np
import pytest

from benchmarks.faults.peers import (
    AutoTrainer,
    CheckNumerics,
    DeepDiagnosis,
    Look,
    TerminateOnNaN,
)
from benchmarks.faults.program import Training
from benchmarks.faults.registry import PROGRAMS
from benchmarks.faults.watching import Truth


class Seen:
    """Stands for a `Look`: the figures that it would give."""

    def __init__(self, gradients=(), inputs=(), accuracy=0.5):
        self.gradients, self.inputs = list(gradients), list(inputs)
        self.validation = accuracy

    def at(self, step):
        return self.gradients, self.inputs

    def accuracy(self):
        return self.validation


def kernels(*norms):
    """Square gradients of these norms, no entry of them 0."""
    return [np.full((2, 2), norm / 2) for norm in norms]


def weights(*paths):
    variables = [types.SimpleNamespace(path=path) for path in paths]
    return types.SimpleNamespace(trainable_weights=variables)


TRAINING = Training(None, None, epochs=10, batch=4)


def autotrainer(gradients, accuracy=0.5, logs=None, epochs=4):
    """Its alarms after so many epochs that all look the same."""
    peer = AutoTrainer(TRAINING, Seen(gradients, accuracy=accuracy))
    for epoch in range(epochs):
        peer.on_epoch_end(epoch, {"loss": 1.0, "accuracy": accuracy} | (logs or {}))
    return [alarm.rule for alarm in peer.alarms]


class TestAutoTrainer:
    @pytest.mark.parametrize(
        "gradients, rule",
        [
            (kernels(71, 1), "exploding_gradient"),
            (kernels(69, 1), "slow convergence"),
            (kernels(0.9e-4, 1), "vanishing_gradient"),
            (kernels(1.1e-4, 1), "slow convergence"),  # the first is not that small
            (kernels(0.9e-4, 0.08), "slow convergence"),  # nor that much smaller
            ([np.zeros((2, 2))], "dead_units"),
        ],
    )
    def test_gradients(self, gradients, rule):
        assert autotrainer(gradients) == [rule]

    def test_nothing_is_wrong_with_what_has_learnt(self):
        peer = AutoTrainer(TRAINING, Seen(kernels(71, 1)))
        for epoch, accuracy in enumerate([0.3, 0.6, 0.8, 0.9]):
            peer.look.validation = accuracy
            peer.on_epoch_end(epoch, {"loss": 1.0, "accuracy": accuracy})
        assert peer.alarms == []

    def test_not_before_three_tenths(self):
        assert autotrainer(kernels(71, 1), epochs=3) == []

    @pytest.mark.parametrize("loss", [np.nan, np.inf, 2e5])
    def test_loss(self, loss):
        found = autotrainer(kernels(1, 1), logs={"loss": loss}, epochs=1)
        assert found == ["nonfinite"]

    def test_gradients_that_are_not_finite(self):
        assert autotrainer([np.array([[np.nan]])], epochs=1) == ["nonfinite"]

    def test_oscillation(self):
        peer = AutoTrainer(TRAINING, Seen(kernels(1, 1)))
        for epoch, accuracy in enumerate([0.7, 0.9, 0.8, 0.9, 0.8, 0.9, 0.8]):
            peer.look.validation = accuracy
            peer.on_epoch_end(epoch, {"loss": 1.0, "accuracy": accuracy})
        assert [alarm.rule for alarm in peer.alarms] == ["oscillating loss"]


class TestDeepDiagnosis:
    @pytest.mark.parametrize(
        "function, values, rule",
        [
            ("relu", [-1] * 7 + [1] * 3, "dead_units"),
            ("relu", [-1] * 6 + [1] * 4, None),
            ("tanh", [-5.1] * 3 + [5.1] * 3 + [0] * 4, "saturation"),
            ("tanh", [-5.1] * 2 + [5.1] * 3 + [0] * 5, None),
            ("sigmoid", [6] * 6 + [0] * 4, "saturation"),
            ("sigmoid", [np.nan] + [0] * 9, "nonfinite"),
        ],
    )
    def test_values(self, function, values, rule):
        seen = Seen(inputs=[("layer", function, np.array(values))])
        peer = DeepDiagnosis(TRAINING, seen)
        peer.set_model(weights())
        peer.on_epoch_end(0, {"loss": 1.0})
        found = [(alarm.rule, alarm.layer) for alarm in peer.alarms]
        assert found == ([(rule, "layer")] if rule else [])

    @pytest.mark.parametrize(
        "entry, rule",
        [(0.9e-7, "vanishing_gradient"), (1.1e-7, None), (np.inf, "nonfinite")],
    )
    def test_gradients(self, entry, rule):
        peer = DeepDiagnosis(TRAINING, Seen([np.full((2, 2), entry)]))
        peer.set_model(weights("net/hidden_1/kernel"))
        peer.on_epoch_end(0, {"loss": 1.0})
        found = [(alarm.rule, alarm.layer) for alarm in peer.alarms]
        assert found == ([(rule, "hidden_1")] if rule else [])


def test_terminate_on_nan():
    peer = TerminateOnNaN(TRAINING, Seen())
    for batch, loss in enumerate([1.0, 1e30, np.inf, np.nan]):
        peer.on_train_batch_end(batch, {"loss": loss})
    assert [(alarm.step, alarm.rule) for alarm in peer.alarms] == [(3, "nonfinite")]


def test_check_numerics_names_the_operation():
    model = PROGRAMS["square-root-at-zero"].build()
    truth, checks = Truth(), CheckNumerics()
    checks.fit(
        lambda: model.model.fit(
            model.data.x[:64], model.data.y[:64], callbacks=[truth], verbose=0
        ),
        truth,
    )
    [alarm] = checks.alarms
    assert (alarm.step, alarm.rule) == (1, "nonfinite")
    assert alarm.text.endswith("/SqrtGrad")


def test_a_look_sees_gradients_and_inputs_and_leaves_no_trace():
    training = PROGRAMS["tanh-digits"].build()
    model, data = training.model, training.data
    hidden = model.get_layer("hidden_1")
    before = hidden.activation
    look = Look(training, ("tanh",))
    gradients, inputs = look.at(step=1)
    assert hidden.activation is before
    assert [name for name, _, _ in inputs] == ["hidden_1", "hidden_2", "hidden_3"]
    x = data.x[: training.batch]
    expected = x @ np.asarray(hidden.kernel) + np.asarray(hidden.bias)
    np.testing.assert_allclose(inputs[0][2], expected, rtol=1e-5, atol=1e-6)
    shapes = [tuple(weight.shape) for weight in model.trainable_weights]
    assert [gradient.shape for gradient in gradients] == shapes
    assert look.at(step=1)[0] is gradients
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    accuracy.update_state(data.y_val, model(data.x_val))
    assert look.accuracy() == pytest.approx(float(accuracy.result()))
