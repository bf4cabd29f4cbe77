"""What the monitor reports, against float64 NumPy on the same activations."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import keras_activations as ka

DENSE = keras.layers.Dense


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x[:96] / 16).astype("float32"), y[:96]


def network(dtype=None):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((64,), dtype="float64" if dtype == "float64" else None)
    wide = keras.initializers.RandomNormal(stddev=0.5)
    x = DENSE(32, "tanh", kernel_initializer=wide, dtype=dtype, name="tanh")(inputs)
    x = DENSE(24, "relu", bias_initializer="ones", dtype=dtype, name="relu")(x - 0.5)
    x = DENSE(16, dtype=dtype, name="linear")(x)
    x = ka.HardSwish(dtype=dtype, name="swish")(x)
    outputs = DENSE(10, "softmax", dtype=dtype, name="head")(x)
    return keras.Model(inputs, outputs)


def train(model, x, y, jit=False, optimizer=None, **options):
    optimizer = optimizer or keras.optimizers.SGD(0.0)
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer, loss, jit_compile=jit)
    options = {"every": 1, "verbose": 0, **options}
    monitor = ka.ActivationMonitor(**options)
    model.fit(x, y, batch_size=len(x), verbose=0, shuffle=False, callbacks=[monitor])
    return monitor


def outputs_of(model, x):
    """Each layer's output in float64, by a forward pass of its own."""
    layers = [layer for layer in model.layers if layer.path]
    every = keras.Model(model.input, [layer.output for layer in layers])
    values = every.predict(x, batch_size=len(x), verbose=0)
    return {
        layer.path: np.asarray(v, "float64")
        for layer, v in zip(layers, values, strict=True)
    }


def assert_describes(stats, values):
    assert stats.count == values.size
    assert stats.units == values.shape[-1]
    # The two forward passes differ in their last digits.
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(stats.mean, values.mean(), **close)
    np.testing.assert_allclose(stats.std, values.std(), **close)
    np.testing.assert_allclose(stats.min, values.min(), **close)
    np.testing.assert_allclose(stats.max, values.max(), **close)
    assert stats.zero_fraction == pytest.approx((values == 0).mean(), abs=1e-3)
    edges, counts = stats.histogram.edges, stats.histogram.counts
    expected, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    assert counts.sum() == values.size
    assert np.abs(counts - expected).sum() <= 4
    for q in (0.05, 0.5, 0.95):
        width = edges[1] - edges[0]
        assert stats.quantile(q) == pytest.approx(np.quantile(values, q), abs=width)


def test_distributions(digits, jit):
    model = network()
    stats = train(model, *digits, jit=jit, layers="all").stats
    values = outputs_of(model, digits[0])
    assert {"tanh", "relu", "linear", "swish", "head"} <= set(stats)
    for path in ("tanh", "relu", "linear", "swish", "head"):
        assert_describes(stats[path], values[path])
    tanh = values["tanh"]
    assert stats["tanh"].saturation_low == pytest.approx(
        (tanh < -0.98).mean(), abs=2e-3
    )
    assert stats["tanh"].saturation_high == pytest.approx(
        (tanh > 0.98).mean(), abs=2e-3
    )
    assert stats["tanh"].saturation > 0.05
    assert stats["tanh"].dead_units is None
    dead = (values["relu"] <= 0).all(axis=0)
    np.testing.assert_array_equal(stats["relu"].dead, dead)
    assert stats["relu"].dead_units == dead.sum()
    assert stats["relu"].saturation is None
    assert stats["linear"].saturation is None
    assert [s.is_output for s in stats.values()][-1]
    assert not stats["tanh"].is_output


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "mixed_float16"])
def test_dtypes(digits, dtype):
    model = network(dtype)
    x = digits[0].astype("float64" if dtype == "float64" else "float32")
    stats = train(model, x, digits[1], layers="all").stats
    values = outputs_of(model, x)
    for path in ("tanh", "relu", "linear"):
        assert stats[path].count == values[path].size
        assert stats[path].mean == pytest.approx(values[path].mean(), abs=5e-3)
        assert stats[path].std == pytest.approx(values[path].std(), abs=5e-3)


def test_weights_and_gradients(digits, jit):
    model, rate = network(), 0.5
    optimizer = keras.optimizers.SGD(rate)
    before = {v.path: v.numpy().astype("float64") for v in model.trainable_variables}
    stats = train(model, *digits, jit=jit, optimizer=optimizer).stats
    for layer in ("tanh", "relu", "linear", "head"):
        assert {w.path for w in stats[layer].weights} == {
            f"{layer}/kernel",
            f"{layer}/bias",
        }
        for weight in stats[layer].weights:
            after = next(
                v.numpy() for v in model.trainable_variables if v.path == weight.path
            )
            old = before[weight.path]
            update = np.linalg.norm(after - old)
            # Plain SGD: the gradient is the update over the learning rate.
            assert weight.gradient_norm == pytest.approx(update / rate, rel=1e-3)
            assert weight.weight_norm == pytest.approx(np.linalg.norm(after), rel=1e-6)
            if old.any():
                expected = update / np.linalg.norm(old)
                assert weight.update_ratio == pytest.approx(expected, rel=1e-3)
            else:
                assert weight.update_ratio is None
    assert stats["swish"].gradient_norm is None


def test_shared_layer_adds_up(digits):
    inputs = keras.Input((64,))
    shared = DENSE(64, "tanh", name="shared")
    model = keras.Model(inputs, DENSE(10, "softmax")(shared(shared(inputs))))
    x, y = digits
    stats = train(model, x[:64], y[:64]).stats
    assert stats["shared"].count == 2 * 64 * 64


def test_large_layers_are_sampled_without_bias(digits):
    x = np.random.default_rng(0).normal(size=(64, 16, 16, 3)).astype("float32")
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(24, 3, activation="relu", name="conv")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(inputs, DENSE(10, "softmax")(pooled))
    stats = train(model, x, digits[1][:64]).stats["conv"]
    values = outputs_of(model, x)["conv"]
    assert 2**13 <= stats.count < values.size
    error = values.std() / np.sqrt(stats.count)
    assert stats.mean == pytest.approx(values.mean(), abs=5 * error)
    assert stats.std == pytest.approx(values.std(), rel=0.03)
    assert stats.zero_fraction == pytest.approx((values == 0).mean(), abs=0.02)
    assert len(stats.dead) == 24


def test_window_spans_the_steps_between_two_samples(digits, jit):
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)
    windows = []

    class Spy(ka.rules.Saturation):
        def judge(self, window, state):
            windows.append(window)
            return super().judge(window, state)

    monitor = ka.ActivationMonitor(every=4, rules=[Spy()], verbose=0)
    x, y = digits
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[monitor])
    assert [w.step for w in windows] == [1, 5, 9, 13, 17, 21]
    assert [w.samples for w in windows] == [1] * 6
    assert [w.epoch for w in windows] == [0, 0, 0, 1, 1, 1]
    assert windows[-1].layers == monitor.stats


def test_several_steps_in_one_execution(digits):
    model = network()
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        steps_per_execution=4,
    )
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    x, y = digits
    model.fit(x, y, batch_size=24, verbose=0, shuffle=False, callbacks=[monitor])
    values = outputs_of(model, x)
    for path in ("tanh", "relu", "swish", "head"):
        assert_describes(monitor.stats[path], values[path])


def test_epoch_logs_reach_other_callbacks(digits):
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(logs))
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    history = model.fit(*digits, verbose=0, epochs=2, callbacks=[monitor, spy])
    for name in ("saturation", "dead_units", "nonfinite"):
        assert len(history.history[name]) == 2
        assert name in seen[0]
    worst = max(s.saturation or 0 for s in monitor.stats.values())
    assert history.history["saturation"][-1] == worst
    assert history.history["nonfinite"] == [0, 0]


def test_recurrent_nested_and_subclassed_models(digits):
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = [DENSE(16, "gelu"), DENSE(8, "tanh")]

        def call(self, x):
            for layer in self.inner:
                x = layer(x)
            return x * 2.0

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.reshape = keras.layers.Reshape((8, 8))
            self.rnn = keras.layers.Bidirectional(keras.layers.LSTM(6))
            self.nested = keras.Sequential([Block(), keras.Sequential([Block()])])
            self.head = DENSE(10, "softmax")

        def call(self, x):
            return self.head(self.nested(self.rnn(self.reshape(x))))

    model = Net()
    monitor = train(model, *digits)
    sampled = [p for p, s in monitor.stats.items() if s.count]
    kinds = [p.split("/")[-1].rsplit("_", 1)[0] for p in sampled]
    assert kinds.count("forward") + kinds.count("backward") == 2, sampled
    assert len(sampled) == 2 + 4 + 1, sampled
    # A composite's own arithmetic is watched for NaN as well.
    assert sum("block" in path.split("/")[-1] for path in monitor.stats) == 2
