"""Runs from one seed, with and without the monitor, that must not differ in a bit."""

import dataclasses

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_activations as ka

BATCH = 8
# For what happens outside of the step: tracing takes most of the time of a short run.
EAGERLY = {"run_eagerly": True}
OWN_LOGS = {"saturation", "dead_units", "nonfinite"}


def digits(steps=12):
    """Pixels in [0, 1] and labels for that many batches."""
    x, y = load_digits(return_X_y=True)
    rows = BATCH * steps
    return (x[:rows] / 16).astype("float32"), y[:rows]


def batches(*arrays):
    """The arrays cut into batches, a list of tuples."""
    rows = range(0, len(arrays[0]), BATCH)
    return [tuple(array[row : row + BATCH] for array in arrays) for row in rows]


def classifier():
    """Three layers of which `gradient_norms` knows the gradients by hand."""
    wide = keras.initializers.RandomNormal(stddev=0.6)  # saturates a part of `hidden`
    inputs = keras.Input((64,))
    x = keras.layers.Dense(12, "tanh", kernel_initializer=wide, name="hidden")(inputs)
    # From units that are dead to units that always fire.
    x = keras.layers.Dense(8, "relu", bias_initializer=_spread, name="rectified")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(x))


def _spread(shape, dtype=None):
    return keras.ops.linspace(-6.0, 2.0, shape[0], dtype=dtype)


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# Watching


@dataclasses.dataclass
class Run:
    """A model as it was trained.

    Attributes:
        model: the trained model.
        logs: what the user was told of the metrics.
        before, after: all weights before and after each execution, a list an element.
    """

    model: keras.Model
    logs: dict | list
    before: list
    after: list


class Weights(keras.callbacks.Callback):
    """Keeps the weights around each execution."""

    def __init__(self):
        super().__init__()
        self.before, self.after = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append([v.numpy() for v in self.model.weights])

    def on_train_batch_end(self, batch, logs=None):
        self.after.append([v.numpy() for v in self.model.weights])


def fit(build, monitor=None, callbacks=(), compile=(), **options):
    """Compiles and trains a new model from the seed, on `digits` unless told otherwise.

    Args:
        build: callable `() -> model`.
        monitor: comes first in the list of callbacks, if any.
        callbacks: the others.
        compile, options: arguments of `compile` and of `fit`.

    Returns:
        `Run`.
    """
    keras.utils.set_random_seed(1)
    model = build()
    defaults = {
        "optimizer": keras.optimizers.SGD(0.1, momentum=0.9),
        "loss": crossentropy(),
        "metrics": ["accuracy"],
    }
    model.compile(**{**defaults, **dict(compile)})
    if "x" not in options:
        options |= dict(zip("xy", digits(), strict=True), batch_size=BATCH)
    weights = Weights()
    callbacks = [*([monitor] if monitor else []), *callbacks, weights]
    options = {"shuffle": False, "verbose": 0, **options}
    history = model.fit(callbacks=callbacks, **options).history
    return Run(model, history, weights.before, weights.after)


class Windows(ka.rules.NonFinite):
    """The rule for NaN, and a list of all windows that were judged."""

    def __init__(self):
        self.windows = []

    def judge(self, window, state):
        self.windows.append(window)
        return super().judge(window, state)


def make_monitor(rules=(), **options):
    """A monitor that samples every layer at each step, and the list of its windows."""
    keeper = Windows()
    options = {"every": 1, "layers": "all", "on_nonfinite": "warn", **options}
    monitor = ka.ActivationMonitor(rules=[keeper, *rules], verbose=0, **options)
    return monitor, keeper.windows


@dataclasses.dataclass
class Watched(Run):
    """A watched `Run` whose unwatched twin ended with the same bits.

    Attributes:
        monitor: its monitor.
        windows: all windows, in order.
    """

    monitor: ka.ActivationMonitor
    windows: list


def watch(run, **options):
    """Runs it unwatched, then watched, and checks that not a bit differs.

    Args:
        run: callable `(monitor) -> Run`, the same however often it is called.
        options: of `make_monitor`.
    """
    plain = run(None)
    monitor, windows = make_monitor(**options)
    watched = run(monitor)
    assert_same_bits(plain, watched)
    return Watched(**vars(watched), monitor=monitor, windows=windows)


def assert_same_bits(plain, watched):
    """Weights, optimizer variables and metrics are identical."""
    logs = watched.logs
    if isinstance(logs, dict):
        logs = {name: values for name, values in logs.items() if name not in OWN_LOGS}
    assert logs == plain.logs
    for one, other in zip(_state(plain.model), _state(watched.model), strict=True):
        np.testing.assert_array_equal(one, other)


def _state(model):
    optimizer = model.optimizer.variables if model.optimizer else []
    return [v.numpy() for v in (*model.variables, *optimizer, *model.metrics_variables)]
