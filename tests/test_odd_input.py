"""Odd input that is right works."""

import math

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.small import X, Y, fit, make_model


def test_a_pattern_that_matches_a_composite_only():
    # What it puts out is its last layer's; that nothing at all is sampled is no answer.
    block = keras.Sequential(
        [keras.layers.Dense(3, "tanh", name="inside")], name="block"
    )
    monitor = ka.ActivationMonitor(layers=["block"], verbose=0)
    fit(make_model(block), monitor)
    assert any(stats.count for stats in monitor.stats.values())


def test_a_model_that_builds_itself_in_fit():
    model = keras.Sequential([keras.layers.Dense(2, "tanh"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = ka.ActivationMonitor(verbose=0)
    fit(model, monitor)
    assert [stats.activation for stats in monitor.stats.values() if stats.count] == [
        "tanh"
    ]


def test_a_model_without_any_activation_layer(tmp_path, capsys):
    monitor = ka.ActivationMonitor(tmp_path)
    history = fit(make_model(keras.layers.Dense(3, name="linear")), monitor)
    assert all(stats.count == 0 for stats in monitor.stats.values())
    assert history.history["saturation"] == history.history["dead_units"] == [0]
    assert "linear" in monitor.report()
    assert monitor.findings == []


def test_an_integer_valued_layer_output():
    def halves(x):
        return keras.ops.cast(x > 0, "int32")

    model = make_model(
        keras.layers.Lambda(halves, output_shape=(4,), name="integers"),
        keras.layers.Embedding(2, 3, name="embedding"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(2, "tanh", name="hidden"),
    )
    monitor = ka.ActivationMonitor(layers="all", verbose=0)
    fit(model, monitor, x=np.where(X > 0, 1, 0))  # an integer batch as well
    counts = {path.split("/")[-1]: stats.count for path, stats in monitor.stats.items()}
    assert counts == {"embedding": 48, "flatten": 48, "hidden": 8, "head": 4}


def test_a_batch_of_one():
    model = make_model(
        keras.layers.Dense(3, "relu", name="hidden"),
        keras.layers.BatchNormalization(),
    )
    monitor = ka.ActivationMonitor(layers="all", verbose=0)
    fit(model, monitor, batch_size=1)
    counts = {path.split("/")[-1]: stats.count for path, stats in monitor.stats.items()}
    assert counts == {"hidden": 3, "batch_normalization": 3, "head": 1}


def test_no_window_yet(tmp_path):
    monitor = ka.ActivationMonitor(tmp_path / "logs", verbose=0)
    assert isinstance(monitor.report(), str)
    assert (monitor.findings, monitor.stats) == ([], {})

    model = make_model()
    fit(model, monitor)
    assert len(monitor.stats) == 2
    history = fit(model, monitor)  # shorter than `every`: its first step is sampled
    assert len(monitor.stats) == 2
    assert isinstance(monitor.report(), str)
    assert [history.history[k] for k in ("saturation", "dead_units", "nonfinite")] == [
        *([0], [0], [0])
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_window_without_one_finite_value(value, tmp_path):
    monitor = ka.ActivationMonitor(tmp_path, on_nonfinite="warn", every=1, verbose=0)
    history = fit(make_model(), monitor, x=np.full_like(X, value))
    [finding] = monitor.findings
    assert (finding.step, finding.rule) == (1, "nonfinite")
    assert all(stats.count == 0 for stats in monitor.stats.values())
    assert history.history["nonfinite"][0] > 0
    assert finding.layer in monitor.report()


def test_no_epochs(tmp_path, capsys):
    model = make_model()
    monitor = ka.ActivationMonitor(tmp_path / "logs")
    fit(model, monitor, epochs=0)
    assert monitor.stats == {}
    assert model.optimizer.iterations.numpy() == 0
    assert not {"make_train_function", "train_step"} & set(vars(model))


class WithUnused(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(3, "tanh", name="hidden")
        self.unused = keras.layers.Activation("tanh", name="unused")

    def call(self, x):
        return self.hidden(x)[:, :1]


@pytest.mark.parametrize("layers", ["all", ["unused", "hidden"], ["unused"]])
def test_a_layer_that_never_runs(layers):
    model = WithUnused()
    model.compile("sgd", "mse")
    monitor = ka.ActivationMonitor(layers=layers, verbose=0)
    fit(model, monitor)
    counts = {path.split("/")[-1]: stats.count for path, stats in monitor.stats.items()}
    assert counts["hidden"] == (0 if layers == ["unused"] else 12)
    assert "unused" not in counts


def test_sequences_of_another_length():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(5, 3)(inputs)
    x = keras.layers.Permute((2, 1))(x)  # the last axis is of no fixed size
    x = keras.layers.GlobalAveragePooling1D(data_format="channels_first")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, "tanh", name="head")(x))
    model.compile("sgd", "mse")
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    for length in (4, 6, 7):
        x = np.arange(8 * length).reshape(8, length) % 5
        fit(model, monitor, x=x)
        assert monitor.stats["head"].count == 4


def test_layers_that_run_only_at_times():
    class Toggled(WithUnused):
        more = False

        def call(self, x):
            x = self.hidden(x)
            return (self.unused(x) if self.more else x)[:, :1]

    model = Toggled()
    model.compile("sgd", "mse")
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    fit(model, monitor)
    model.more = True
    fit(model, monitor, y=Y.astype("int32"))  # another dtype: traced again
    assert [path.split("/")[-1] for path in monitor.stats][:2] == ["hidden", "unused"]
