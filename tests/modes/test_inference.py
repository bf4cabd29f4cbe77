"""The monitor as a callback of `evaluate` and `predict`, each under a run of its own."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_activations as ka
from tests.board import RUN, Board
from tests.endings import Bang, Callback
from tests.leftovers import assert_as_if_never_there, make_model
from tests.modes.runs import (
    BATCH,
    EAGERLY,
    assert_same_bits,
    batches,
    classifier,
    crossentropy,
    digits,
    fit,
    make_monitor,
)
from tests.modes.twin import LAYERS, assert_describes, assert_describes_steps, by_name

STEPS = 3
PHASES = ("train", "test", "predict")
CALLS = ("evaluate", "predict")
ENDED = {"evaluate": "on_test_batch_end", "predict": "on_predict_batch_end"}
OPTIONS = {
    "graph": {"jit_compile": False},
    "4 steps": {"jit_compile": False, "steps_per_execution": 4},
}
each_call = pytest.mark.parametrize("how", CALLS)


def network():
    """The chain of `classifier`, with dropout that would show in training."""
    inputs = keras.Input((64,))
    hidden, rectified, head = classifier().layers[1:]
    dropout = keras.layers.Dropout(0.5)
    return keras.Model(inputs, head(rectified(dropout(hidden(inputs)))))


def compiled(build=network, **options):
    model = build()
    options = {"loss": crossentropy(), "metrics": ["accuracy"], **options}
    model.compile("sgd", **options)
    return model


def data(steps=STEPS):
    """Pixels and labels; the last batch is a smaller one."""
    return [array[:-3] for array in digits(steps)]


def run(how, model, *callbacks, x=None, y=None, **options):
    """Evaluates or predicts on `data` unless told otherwise."""
    if x is None:
        x, y = data()
    options = {"batch_size": BATCH, "verbose": 0, **options}
    if how == "fit":
        options["shuffle"] = False
    if how != "predict":
        options["y"] = y
    if how == "evaluate":
        options["return_dict"] = True
    return getattr(model, how)(x, callbacks=list(callbacks), **options)


def assert_same(one, other):
    """Logs or predictions have one structure and are identical to the bit."""
    keras.tree.map_structure(np.testing.assert_array_equal, one, other)


def assert_describes_batches(windows, model, pairs):
    """Each window is one batch as the weights are now, and there is no other."""
    weights = model.get_weights()
    for window, batch in zip(windows, pairs, strict=True):
        assert_describes_steps(window, [(weights, batch)])


def hooks(model):
    """What a monitor sets on a model and on its layers."""
    on_model = {f"make_{p}_function" for p in PHASES} | {f"{p}_step" for p in PHASES}
    owners = [(model, on_model), *((layer, set()) for layer in model.layers)]
    return {name for owner, own in owners for name in (own | {"call"}) & {*vars(owner)}}


def functions(model):
    return [getattr(model, f"{phase}_function") for phase in PHASES]


# What is counted


@each_call
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_statistics(how, options):
    x, y = data(6)
    model = compiled(**options)
    plain = run(how, model, x=x, y=y)
    monitor, windows = make_monitor()

    assert_same(run(how, model, monitor, x=x, y=y), plain)

    execution = options.get("steps_per_execution", 1)
    ends = [*range(execution, 6, execution), 6]
    assert [window.step for window in windows] == ends
    weights, pairs, begin = model.get_weights(), batches(x, y), 0
    for window in windows:
        steps = [(weights, batch) for batch in pairs[begin : window.step]]
        assert_describes_steps(window, steps)
        layers = by_name(window.layers)
        assert layers["head"].is_output and not layers["hidden"].is_output
        # There are no gradients and no updates.
        assert {layers[name].weights for name in LAYERS} == {()}
        begin = window.step
    assert monitor.findings == []
    assert_same(run(how, model, x=x, y=y), plain)


@each_call
def test_statistics_under_xla(how):
    x, y = digits(2)
    model = compiled(jit_compile=True)
    plain = run(how, model, x=x, y=y)
    monitor, windows = make_monitor()
    assert_same(run(how, model, monitor, x=x, y=y), plain)
    assert_describes_batches(windows, model, batches(x, y))


class Counted(keras.layers.Layer):
    """Counts how often it is traced."""

    traces = 0

    def call(self, x):
        self.traces += 1
        return x


def test_steps_go_on_across_calls_without_a_new_trace():
    counted = Counted()
    model = compiled(lambda: keras.Sequential([network(), counted]))
    monitor, windows = make_monitor(every=2)
    run("evaluate", model, monitor)
    traces = counted.traces
    run("evaluate", model, monitor)
    assert counted.traces == traces
    # The first batch of each call is sampled, and every second from there.
    assert [window.step for window in windows] == [1, 3, 4, 6]


def test_more_steps_in_an_execution_than_before():
    """The samples of all batches are kept, however many it was compiled for before."""
    model = compiled(**EAGERLY)
    monitor, windows = make_monitor()
    run("evaluate", model, monitor)
    model.compile("sgd", crossentropy(), steps_per_execution=STEPS, **EAGERLY)
    run("evaluate", model, monitor)
    weights = model.get_weights()
    assert windows[-1].step == 2 * STEPS
    assert_describes_steps(windows[-1], [(weights, pair) for pair in batches(*data())])


# Models


def test_several_outputs_of_a_model_that_is_not_compiled():
    x, _ = data()
    inputs = keras.Input((64,))
    layers = [keras.layers.Dense(3, "tanh", name=name) for name in ("a", "b", "c")]
    a, b, c = (layer(inputs) for layer in layers)
    model = keras.Model(inputs, {"one": a, "two": [b, c]})
    plain = run("predict", model)
    monitor, windows = make_monitor()
    predicted = run("predict", model, monitor)
    assert_same(predicted, plain)
    assert predicted["one"].shape == (len(x), 3)
    for window, (batch,) in zip(windows, batches(x), strict=True):
        assert window.layers.keys() == {"a", "b", "c"}
        for layer in layers:
            kernel, bias = (np.float64(w) for w in layer.get_weights())
            values = np.tanh(np.float64(batch) @ kernel + bias)
            assert_describes(window.layers[layer.name], values)
            assert window.layers[layer.name].is_output


def test_several_outputs_of_several_steps():
    inputs = keras.Input((64,))
    a, b = keras.layers.Dense(3, "tanh")(inputs), keras.layers.Dense(2)(inputs)
    model = keras.Model(inputs, [a, {"b": b}])
    model.compile(steps_per_execution=2, **EAGERLY)
    plain = run("predict", model)
    monitor, windows = make_monitor()
    assert_same(run("predict", model, monitor), plain)
    assert [window.step for window in windows] == [2, STEPS]


class OwnSteps(keras.Model):
    """A model that writes out its steps; what they give is no tensor of a layer."""

    def test_step(self, data):
        x, y = data
        wrong = tf.argmax(self(x, training=False), axis=1) != tf.cast(y, "int64")
        return {"wrong": tf.reduce_sum(tf.cast(wrong, "int32"))}

    def predict_step(self, data):
        x, *_ = keras.utils.unpack_x_y_sample_weight(data)
        labels = tf.argmax(self(x, training=False), axis=1)
        return {"label": labels}


@each_call
def test_steps_of_its_own(how):
    def build():
        plain = network()
        return OwnSteps(plain.input, plain.output)

    model = compiled(build, metrics=None)
    plain = run(how, model)
    monitor, windows = make_monitor()
    assert_same(run(how, model, monitor), plain)
    assert_describes_batches(windows, model, batches(*data()))
    assert hooks(model) == set()


class Unbuilt(keras.Model):
    """Makes its weights when it is called first."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, "tanh", name="hidden")

    def call(self, x):  # without `training`
        return self.hidden(x)


def test_a_model_that_the_first_batch_builds():
    x, _ = digits(1)
    model = Unbuilt()
    monitor, windows = make_monitor()
    predicted = run("predict", model, monitor, x=x)
    assert_same(run("predict", model, x=x), predicted)
    (window,) = windows
    assert_describes(by_name(window.layers)["hidden"], np.float64(predicted))


def test_a_model_without_an_optimizer():
    model = network()
    model.compile(optimizer=None, loss=crossentropy(), **EAGERLY)
    for how in CALLS:
        monitor, windows = make_monitor(on_nonfinite="clip")
        assert_same(run(how, model), run(how, model, monitor))
        assert_describes_batches(windows, model, batches(*data()))


# What is found


def spoilt(batch):
    """`data` with one NaN in one of the batches, counted from 1."""
    x, y = data()
    x[BATCH * batch - 2, 5] = np.nan
    return {"x": x, "y": y}


class Done(keras.callbacks.Callback):
    """Counts batches."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_test_batch_end(self, batch, logs=None):
        self.batches += 1

    on_predict_batch_end = on_test_batch_end


@each_call
@pytest.mark.parametrize("action", ["warn", "stop", "raise"])
def test_nan(how, action):
    model, done = compiled(**EAGERLY), Done()
    plain = run(how, model)
    before = functions(model)
    monitor = ka.ActivationMonitor(on_nonfinite=action, verbose=0)
    context = pytest.raises(ka.FindingError) if action == "raise" else None

    with context or contextlib.nullcontext():
        run(how, model, monitor, done, **spoilt(batch=2))

    (finding,) = monitor.findings
    assert (finding.step, finding.epoch, finding.rule) == (2, 0, "nonfinite")
    assert finding.layer.endswith("hidden")
    assert finding.value == 12  # the whole row of its units
    assert done.batches == {"stop": 2, "raise": 1}.get(action, STEPS)
    assert hooks(model) == set()
    assert functions(model) == before
    # What was stopped or raised says nothing about the next call.
    assert_same(run(how, model, monitor), plain)
    assert monitor.findings == []
    assert {stats.nan_count for stats in monitor.stats.values()} == {0}


@pytest.mark.parametrize("how", ["fit", *CALLS])
def test_nan_is_found_again_in_the_next_call(how):
    """Though it is the next step, and the same illness, the user is told and it stops."""
    model = compiled(**EAGERLY)
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    monitor, _ = make_monitor(on_nonfinite="stop")
    for step in (1, 2, 3):
        run(how, model, monitor)
        (finding,) = monitor.findings
        assert finding.step == step


def test_saturation_is_found_where_it_is_evaluated():
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    x, y = data()
    run("evaluate", compiled(**EAGERLY), monitor, x=100 * x, y=y)
    (finding,) = monitor.findings
    assert (finding.rule, finding.step) == ("saturation", 1)
    assert finding.layer.endswith("hidden")


# Where it is written


def test_each_has_its_own_run(tmp_path):
    model = compiled(**EAGERLY)
    monitor = ka.ActivationMonitor(tmp_path, every=1, verbose=0)
    x, y = data()
    run("evaluate", model, monitor)
    assert Board(tmp_path).runs() == {f"evaluate/{RUN}"}

    run("fit", model, monitor, validation_data=(x, y))
    run("predict", model, monitor, **spoilt(batch=2))
    run("evaluate", model, monitor)

    board = Board(tmp_path)
    runs = {RUN: STEPS, f"evaluate/{RUN}": 2 * STEPS, f"predict/{RUN}": 2}
    assert board.runs() == set(runs)
    for name, steps in runs.items():
        stds = board.scalar("std/hidden", name)
        # The second has NaN; the part of it that is finite is described.
        assert [step for step, _ in sorted(stds)] == list(range(1, steps + 1))
        histograms = board.histogram("activations/hidden", name)
        assert {step for step, _ in histograms} == set(range(1, steps + 1))
        gradients = [t for t in board.tags("scalars", name) if "gradient" in t]
        assert bool(gradients) == (name == RUN)
        found = "finding/nonfinite" in board.tags("scalars", name)
        assert found == (name == f"predict/{RUN}")


# Beside training and each other


def test_in_turn():
    """Steps of training go on; batches of the validation inside `fit` are not steps."""
    model = compiled(classifier, **EAGERLY)
    x, y = data()
    monitor, windows = make_monitor()

    def new_windows(how, **options):
        del windows[:]
        run(how, model, monitor, **options)
        assert monitor.stats == windows[-1].layers
        assert hooks(model) == set()
        return [window.step for window in windows]

    steps = list(range(1, STEPS + 1))
    # A hundred times brighter: one of them would show.
    training = {"epochs": 2, "validation_data": (100 * x, y)}
    assert new_windows("fit", **training) == list(range(1, 2 * STEPS + 1))
    assert max(w.layers["hidden"].saturation for w in windows) < 0.9
    assert new_windows("evaluate", x=100 * x, y=y) == steps
    assert min(w.layers["hidden"].saturation for w in windows) > 0.9
    assert new_windows("predict") == steps
    assert_describes_batches(windows, model, batches(x, y))
    assert monitor.stats["hidden"].gradient_norm is None
    more = new_windows("fit", epochs=1)
    assert more == [2 * STEPS + step for step in steps]
    assert monitor.stats["hidden"].gradient_norm > 0
    assert new_windows("evaluate") == [STEPS + step for step in steps]

    run("fit", model, monitor, **spoilt(batch=2))
    assert monitor.findings[0].step == 3 * STEPS + 2


def test_another_monitor_evaluates_inside_fit():
    x, y = digits(2)

    def train(monitor=None, other=None):
        def look(epoch, logs):
            own = [other] if other else []
            run("evaluate", look_callback.model, *own)
            assert ("make_train_function" in hooks(look_callback.model)) == bool(
                monitor
            )

        look_callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
        options = {"x": x, "y": y, "batch_size": BATCH, "epochs": 2}
        return fit(classifier, monitor, [look_callback], EAGERLY, **options)

    plain = train()
    (monitor, windows), (other, other_windows) = make_monitor(), make_monitor()
    watched = train(monitor, other)
    assert_same_bits(plain, watched)
    for step, window in enumerate(windows):
        batch = batches(x, y)[step % 2]
        assert_describes_steps(window, [(watched.before[step], batch)])
    assert [window.step for window in windows] == [1, 2, 3, 4]
    assert [window.step for window in other_windows] == list(range(1, 2 * STEPS + 1))
    assert_describes_batches(other_windows[STEPS:], watched.model, batches(*data()))
    assert hooks(watched.model) == set()


def test_a_monitor_in_training_does_not_evaluate_as_well():
    """It says so, and goes on with the training."""
    monitor, windows = make_monitor()
    model = compiled(classifier, **EAGERLY)

    def look(epoch, logs):
        for how in CALLS:
            with pytest.warns(UserWarning, match="not watched: give it a monitor"):
                run(how, model, monitor)

    look = keras.callbacks.LambdaCallback(on_epoch_end=look)
    run("fit", model, monitor, look, epochs=2, validation_data=data())
    assert [window.step for window in windows] == list(range(1, 2 * STEPS + 1))
    with monitor.attach(model), pytest.warns(UserWarning, match="not watched"):
        run("evaluate", model, monitor)
    assert hooks(model) == set()


@pytest.mark.parametrize(
    ("broken", "after"),
    [("evaluate", "fit"), ("predict", "evaluate"), ("evaluate", "evaluate")],
)
def test_after_a_call_that_broke_off(broken, after):
    model = compiled(**EAGERLY)
    monitor, windows = make_monitor()
    with pytest.raises(Bang):
        run(broken, model, monitor, Callback(ENDED[broken], Bang()))
    del windows[:]
    run(after, model, monitor)
    first = 2 if broken == after else 1
    assert [window.step for window in windows] == list(range(first, first + STEPS))
    run(broken, model)  # puts right what no hook of ours could
    assert len(windows) == STEPS
    assert hooks(model) == set()


# What is left


@each_call
def test_nothing_is_left(how, tmp_path):
    model = make_model()
    x = np.ones((8, 4), "float32")
    for each in ("fit", *CALLS):
        run(each, model, x=x, y=x[:, :1])
    before, attributes = functions(model), set(vars(model))
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    saved = tmp_path / "saved"

    class Save(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            assert_as_if_never_there(self.model, saved)

        on_predict_batch_end = on_test_batch_end

    saved.mkdir()
    run(how, model, monitor, Save(), x=x, y=x[:, :1])
    assert monitor.stats["model/hidden"].count == 24

    if how == "evaluate":
        with pytest.raises(tf.errors.InvalidArgumentError, match="a thousand"):
            run(how, model, monitor, x=x, y=1000 + 0 * x[:, :1])
    with pytest.raises(ValueError, match="Another ActivationMonitor"):
        run(how, model, monitor, ka.ActivationMonitor(verbose=0), x=x, y=x[:, :1])

    assert hooks(model) == set()
    for one, other in zip(functions(model), before, strict=True):
        assert one is other
    assert set(vars(model)) == attributes
    assert_as_if_never_there(model, tmp_path)
