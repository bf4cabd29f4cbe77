"""Bad input is refused before anything changes."""

import math
import os

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.small import X, Y, fit, make_model

# At construction


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_nonfinite": "sotp"}, "`on_nonfinite` must .*Did you mean 'stop'?"),
        ({"on_saturation": "warning"}, "`on_saturation` must .*Did you mean 'warn'?"),
        ({"on_dead_units": None}, "`on_dead_units` must .*Received: .*None"),
        ({"rules": ["saturatoin"]}, r"`rules` .*Close matches: \['saturation'\]"),
        ({"rules": [ka.rules.Saturation]}, "`rules` must be rule objects"),
        ({"rules": [object()]}, "`rules` must be rule objects"),
        ({"rules": ka.rules.default_rules() * 2}, "each rule once"),
        ({"every": 0}, "`every` must be an int >= 1. Received: every=0"),
        ({"every": -1}, "Received: every=-1"),
        ({"every": 2.5}, "Received: every=2.5"),
        ({"every": True}, "Received: every=True"),
        ({"every": "10"}, "Received: every='10'"),
        ({"every": None}, "Received: every=None"),
        ({"every": math.nan}, "Received: every=nan"),
        ({"layers": "hidden"}, "`layers` must be .*Received: layers='hidden'"),
        ({"layers": 3}, "`layers` must be .*Received: layers=3"),
        ({"layers": ["hidden", 3]}, "`layers` must be .*Received: layers="),
        ({"verbose": 2}, "`verbose` must be 0 or 1. Received: verbose=2"),
        ({"metadata": "v1"}, "`metadata` must be a dict .*Received: metadata='v1'"),
        ({"metadata": {"version": 1}}, "`metadata` must be a dict of str to str"),
        ({"log_dir": ""}, "`log_dir` must name a folder"),
    ],
)
def test_options(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        ka.ActivationMonitor(**{"log_dir": "logs", **options})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("rules", [3, "saturation", ka.rules.Saturation()])
def test_rules_that_are_no_list(rules):
    with pytest.raises(ValueError, match="`rules` must be"):
        ka.ActivationMonitor(rules=rules)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="on_saturated"):
        ka.ActivationMonitor(on_saturated="warn")


@pytest.mark.parametrize("limit", [0, 0.0, -1.0, math.inf, math.nan, None, "3"])
def test_a_limit_that_is_not_positive_and_finite(limit):
    for make in (ka.ClippedTanh, lambda limit: ka.functional.clipped_tanh(X, limit)):
        with pytest.raises(ValueError, match="`limit` must .*Received: limit="):
            make(limit)


def test_a_log_dir_that_is_a_file(tmp_path):
    file = tmp_path / "logs"
    file.write_text("mine")
    with pytest.raises(
        NotADirectoryError, match="a file has this name. Received: .*logs"
    ):
        ka.ActivationMonitor(log_dir=file)
    assert file.read_text() == "mine"
    assert os.listdir(tmp_path) == ["logs"]


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend(backend, monkeypatch):
    # All of them need packages that we do not: Keras's numpy backend imports jax.
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(ValueError, match=f"TensorFlow backend only.*'{backend}'"):
        ka.ActivationMonitor()


# At the start of training


@pytest.fixture
def untouched(tmp_path):
    """A compiled model; afterwards it and the folder are checked to be as before."""
    model = make_model()
    keras.utils.set_random_seed(1)
    model.fit(X, Y, batch_size=4, verbose=0)  # slots and a train function to lose
    variables = [*model.variables, *model.optimizer.variables]
    before = [np.array(v.numpy()) for v in variables]
    attributes = [
        dict(vars(owner)) for owner in (model, *model.layers, model.optimizer)
    ]
    yield model
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    for owner, known in zip(
        (model, *model.layers, model.optimizer), attributes, strict=True
    ):
        # Keras's own `fit` sets these.
        known["stop_training"] = vars(owner).get("stop_training")
        assert vars(owner).keys() <= known.keys()
        for name in ("call", "apply", "train_step", "make_train_function"):
            assert name not in vars(owner)
        assert vars(owner).get("train_function") is known.get("train_function")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("hiden", r"Close matches: \['hidden'\].*Received: 'hiden'"),
        ("xyz/*", r"The model has: \[.*'hidden'.*Received: 'xyz/\*'"),
    ],
)
def test_a_pattern_that_matches_nothing(untouched, pattern, message, tmp_path):
    monitor = ka.ActivationMonitor(tmp_path / "logs", layers=["head", pattern])
    with pytest.raises(ValueError, match=message):
        fit(untouched, monitor)
    with (
        pytest.raises(ValueError, match=message),
        monitor.attach(untouched),
    ):
        pytest.fail("attached")


@pytest.mark.parametrize("other", [None, object(), keras.layers.Dense(1), 3])
def test_what_is_no_keras_model(other, tmp_path):
    monitor = ka.ActivationMonitor(tmp_path / "logs")
    with (
        pytest.raises(ValueError, match="keras.Model. Received: model="),
        monitor.attach(other),
    ):
        pytest.fail("attached")
    monitor.set_model(other)
    with pytest.raises(ValueError, match="keras.Model. Received: model="):
        monitor.on_train_begin()
    assert not os.listdir(tmp_path)


def test_a_model_that_is_not_built(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)], name="late")
    monitor = ka.ActivationMonitor(tmp_path / "logs")
    with (
        pytest.raises(ValueError, match="must be built.*Received: model='late'"),
        monitor.attach(model),
    ):
        pytest.fail("attached")
    assert not model.built
    assert not os.listdir(tmp_path)


def test_a_model_that_is_not_compiled(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    monitor = ka.ActivationMonitor(tmp_path / "logs", verbose=0)
    with pytest.raises(ValueError, match="compile"):  # Keras's own
        fit(model, monitor)
    with monitor.attach(model):  # a loop by hand needs no `compile`
        model(X, training=True)
        assert monitor.step() == []


def test_steps_outside_a_loop_or_without_a_call():
    monitor = ka.ActivationMonitor(verbose=0)
    with pytest.raises(RuntimeError, match="belongs inside `with monitor.attach"):
        monitor.step()
    with (
        monitor.attach(make_model()),
        pytest.raises(RuntimeError, match="No training step was counted"),
    ):
        monitor.step()


def test_attaching_twice():
    monitor = ka.ActivationMonitor(verbose=0)
    model = make_model()
    with (
        monitor.attach(model),
        pytest.raises(ValueError, match="attached to a .*already"),
        monitor.attach(model),
    ):
        pytest.fail("attached")
