"""More than one monitor, model or fit."""

import math

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.leftovers import (
    X,
    Y,
    assert_same_values,
    fit,
    hooks,
    loss,
    make_model,
    values,
)


@pytest.fixture
def model():
    return make_model()


@pytest.fixture
def monitor():
    return ka.ActivationMonitor(verbose=0, on_nonfinite="warn", every=1)


def test_the_same_monitor_twice_in_one_list(model, monitor):
    history = fit(model, monitor, monitor, x=np.full_like(X, math.nan))
    assert [finding.step for finding in monitor.findings] == [1]
    assert "nonfinite" in history.history
    assert hooks(model) == set()
    fit(model, monitor)
    assert monitor._session.probe.step == 8


def test_two_monitors_on_one_model(model, monitor):
    other = ka.ActivationMonitor(verbose=0)
    plain = fit(model) and model.train_function
    before = values(model)

    with pytest.raises(ValueError, match="Another ActivationMonitor .*model='model'"):
        fit(model, monitor, other)

    assert_same_values(values(model), before)
    assert hooks(model) == set()
    assert model.train_function is plain
    for each in (monitor, other):  # one after the other is fine
        fit(model, each)
    assert model.train_function is plain


@pytest.mark.parametrize("second", ["loop", "fit"])
def test_a_second_monitor_inside_the_loop_of_another(second, model, monitor):
    other = ka.ActivationMonitor(verbose=0)
    with (
        pytest.raises(ValueError, match="nother ActivationMonitor|watched already"),
        monitor.attach(model),
    ):
        if second == "fit":
            fit(model, other)
        else:
            with other.attach(model):
                pass
    assert hooks(model) == set()


def test_one_monitor_for_two_models_in_turn(model, monitor):
    other = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, "sigmoid", name="only")], name="other"
    )
    other.compile("adam", loss)
    for each, path, activation in [
        (model, "model/hidden", "tanh"),
        (other, "other/only", "sigmoid"),
    ] * 2:
        each.compile("adam", loss)
        fit(each, monitor)
        assert monitor.stats[path].activation == activation
        assert {p.split("/")[0] for p in monitor.stats} == {each.name}
        assert hooks(model) == hooks(other) == set()


def test_a_second_fit_continues_the_steps(model):
    monitor = ka.ActivationMonitor(verbose=0, on_nonfinite="warn", every=1)
    fit(model, monitor, epochs=2)
    assert monitor.findings == []
    fit(model)  # without it: these are training steps too
    y = Y.copy()
    y[8:] = math.nan
    fit(model, monitor, y=y)
    [finding] = monitor.findings
    assert finding.step == 8 + 4 + 3
    assert int(model.optimizer.iterations) == 16


def test_a_train_function_is_traced_once_for_many_fits(model, monitor):
    fit(model, monitor)
    monitored = monitor._session._attachment._monitored
    fit(model, monitor)
    assert monitor._session._attachment._monitored is monitored
