"""What `test_replicas` needs of a TensorFlow whose one CPU is set up as two devices.

That has to be done before TensorFlow does anything else, so it is a process of its own;
one for all, since each takes ten seconds to start.
"""

import itertools
import warnings

import keras
import numpy as np
import tensorflow as tf

import keras_activations as ka
from keras_activations.health.finding import RULES
from keras_activations.health.rules import default_rules
from keras_activations.telemetry import gathering
from tests.leftovers import hooks
from tests.modes.processes import send
from tests.modes.runs import BATCH, Weights, classifier, make_monitor
from tests.modes.strategies import Record, build, loop, rows, state_of

# The last batch is of three rows, and of one, of which a replica has none.
FITS = (5 * BATCH + 3, 3 * BATCH + 1)
LOGS = "logs"


def main():
    # As pytest does, where they come out of this package.
    warnings.filterwarnings("error", module="keras_activations")
    # Every other reading is made as if from beyond the host.
    turns = itertools.cycle([True, False])
    gathering.on_cpu = lambda tensors: next(turns)
    (cpu,) = tf.config.list_physical_devices("CPU")
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [device, device])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    parts = (fits, treated, stopped, half_precision, words, loops)
    send({name: value for part in parts for name, value in part(strategy).items()})


def fit(strategy, model, monitor=None, windows=(), sizes=FITS, bad=()):
    weights, logs = Weights(), []
    callbacks = [*([monitor] if monitor else []), weights]
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    for number in sizes:
        data = rows(number, bad)
        logs.append(model.fit(*data, callbacks=callbacks, **options).history)
    findings = monitor.findings if monitor else []
    state = state_of(strategy, model)
    return Record(logs, weights.before, state, list(windows), list(findings))


def fits(strategy):
    """Two fits of one model, and what it is used for afterwards."""
    plain, watched = build(strategy), build(strategy)
    monitor, windows = make_monitor(log_dir=LOGS)
    return {
        "plain": fit(strategy, plain),
        "watched": fit(strategy, watched, monitor, windows),
        **inference(watched),
        "left": hooks(watched),
        "plain, again": fit(strategy, plain, sizes=[2 * BATCH]),
        "unwatched, again": fit(strategy, watched, sizes=[2 * BATCH]),
    }


def inference(model):
    """`evaluate` and `predict`, their results without and with the monitor."""
    x, y = rows(FITS[1])
    found = {"trained": model.get_weights()}
    calls = {
        "evaluate": lambda **o: model.evaluate(x, y, return_dict=True, **o),
        "predict": lambda **o: model.predict(x, **o),
    }
    for name, call in calls.items():
        monitor, windows = make_monitor()
        options = {"batch_size": BATCH, "verbose": 0}
        plain = call(**options)
        watched = call(callbacks=[monitor], **options)
        found[name] = plain, watched, windows
    return found


def stopped(strategy):
    """NaN in a row of the second replica, in the third step, which is not sampled."""
    monitor, windows = make_monitor(on_nonfinite="stop", every=10)
    bad = [3 * BATCH - 1]
    model = build(strategy)
    return {"stopped": fit(strategy, model, monitor, windows, [5 * BATCH], bad)}


def half_precision(strategy):
    """With Keras's own loss scaling."""
    keras.config.set_dtype_policy("mixed_float16")
    monitor, windows = make_monitor()
    plain, watched = build(strategy), build(strategy)
    keras.config.set_dtype_policy("float32")
    sizes = [4 * BATCH]
    return {
        "half, plain": fit(strategy, plain, sizes=sizes),
        "half, watched": fit(strategy, watched, monitor, windows, sizes),
        "half, optimizer": type(watched.optimizer).__name__,
    }


def words(strategy):
    """Layers with a state and sparse gradients, built by `fit` and not before."""

    def make_model():
        return keras.Sequential(
            [
                keras.layers.Embedding(17, 8),
                keras.layers.Flatten(),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(12, "relu", name="hidden"),
                keras.layers.Dense(10, name="head"),
            ],
            name="words",
        )

    x, y = rows(3 * BATCH + 3)
    x = np.int32(16 * x)
    found = {}
    for name in ("words, plain", "words, watched"):
        model = build(strategy, make_model)
        monitor, windows = make_monitor(every=3, layers="auto")
        callbacks = [monitor] if name == "words, watched" else []
        options = {"batch_size": BATCH, "verbose": 0}
        history = model.fit(x, y, callbacks=callbacks, **options)
        state = state_of(strategy, model)
        found[name] = Record([history.history], [], state, windows, monitor.findings)
    model.save("model.keras")
    loaded = keras.models.load_model("model.keras")
    return {**found, "saved": (model.get_weights(), loaded.get_weights())}


def treated(strategy):
    """What "clip" and "rescue" do: of five batches the fourth holds NaN."""
    clips = {f"on_{rule}": "clip" for rule in RULES}
    rescues = {f"on_{rule}": "rescue" for rule in RULES}
    steep = build(strategy, saturated)
    monitor, _ = make_monitor(default_rules()[1:], **rescues)
    careful, windows = make_monitor(default_rules()[1:], **rescues)
    return {
        "bad": clip(strategy, clips, 4, bad=[4 * BATCH - 1]),
        "before it": clip(strategy, clips, 3),
        "healthy, plain": fit(strategy, build(strategy, healthy)),
        "healthy, rescued": fit(strategy, build(strategy, healthy), careful, windows),
        "saturated": fit(strategy, steep, monitor, sizes=[12 * BATCH]),
        "in a loop": refused(strategy),
    }


def clip(strategy, actions, number, bad=()):
    monitor, windows = make_monitor(**actions)
    model = build(strategy, lambda: normalised(classifier()))
    return fit(strategy, model, monitor, windows, [number * BATCH], bad)


def normalised(model):
    """With moving averages of its own."""
    return keras.Sequential([*model.layers, keras.layers.BatchNormalization()])


def healthy():
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((64,)), dense(12, "tanh"), dense(10)])


def saturated():
    model = classifier()
    for layer in model.layers[1:]:
        layer.kernel.assign(10 * layer.kernel)
    return model


def refused(strategy):
    """What "clip" is answered with in a loop by hand."""
    monitor = ka.ActivationMonitor(on_nonfinite="clip", verbose=0)
    try:
        loop(strategy, *rows(BATCH), monitor)
    except ValueError as error:
        return str(error)


def loops(strategy):
    """By hand; in the third step a row of the first and two of the second are NaN."""
    data = rows(3 * BATCH, bad=[2 * BATCH, 3 * BATCH - 2, 3 * BATCH - 1])
    monitor, windows = make_monitor()
    _, plain = loop(strategy, *data)
    model, watched = loop(strategy, *data, monitor, windows)
    return {
        "loop, plain": plain,
        "loop, watched": watched,
        "loop, left": hooks(model),
    }


if __name__ == "__main__":
    main()
