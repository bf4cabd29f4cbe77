"""However training ends, the model is as if the monitor had never been there."""

import contextlib
import copy
import math
import pickle

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_activations as ka

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]
HOOKS = {"call", "apply", "scale_loss", "train_step", "make_train_function"}


class Bang(Exception):
    pass


class Trouble:
    """Makes the loss fail when it is next called, that is when a step is traced."""

    exception = None


@keras.saving.register_keras_serializable("tests")
def loss(y_true, y_pred):
    if Trouble.exception is not None:
        raise Trouble.exception
    tf.debugging.assert_none_equal(y_true, 1000.0, message="a thousand")
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


def make_model():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, "tanh", name="hidden"),
            keras.layers.Dense(1, name="head"),
        ],
        name="model",
    )
    model.compile("adam", loss)
    return model


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(Trouble, "exception", None)
    return make_model()


@pytest.fixture
def monitor():
    return ka.ActivationMonitor(verbose=0, on_nonfinite="warn", every=1)


def fit(model, *callbacks, x=X, y=Y, **options):
    options = {"batch_size": 4, "verbose": 0, "shuffle": False, **options}
    return model.fit(x, y, callbacks=list(callbacks), **options)


def hooks(model):
    owners = {"model": model, "optimizer": model.optimizer}
    owners |= {layer.name: layer for layer in model.layers}
    return {
        (o, name) for o, owner in owners.items() for name in HOOKS & set(vars(owner))
    }


def values(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def names(model):
    # A loaded model leaves its own name out of the paths.
    return [v.path.removeprefix("model/") for v in model.variables]


def assert_same_values(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_as_if_never_there(model, tmp_path):
    """Saves, clones, pickles and copies: just the user's weights, and no monitor."""
    assert len(names(model)) == 4
    file = tmp_path / "model.keras"
    model.save(file)
    copies = {
        "saved": keras.models.load_model(file, compile=False),
        "cloned": keras.models.clone_model(model),
        "copied": copy.deepcopy(model),
        "pickled": pickle.loads(pickle.dumps(model)),
    }
    for how, other in copies.items():
        assert names(other) == names(model), how
        for owner in (other, *other.layers):
            assert not HOOKS & set(vars(owner)), how
        if how != "cloned":
            assert_same_values(other.get_weights(), model.get_weights())


class Callback(keras.callbacks.Callback):
    """Raises an exception at one hook."""

    def __init__(self, hook, exception):
        super().__init__()

        def fail(*args, **kwargs):
            raise exception

        setattr(self, hook, fail)


class SwitchOn(keras.callbacks.Callback):
    """Makes the loss fail from the start of training on, so while it is traced."""

    def __init__(self, exception):
        super().__init__()
        self.exception = exception

    def on_train_begin(self, logs=None):
        Trouble.exception = self.exception


def ends_normally(model, monitor):
    fit(model, monitor)


def ends_by_a_finding(model, monitor):
    monitor = ka.ActivationMonitor(verbose=0, on_nonfinite="raise")
    with pytest.raises(ka.FindingError):
        fit(model, monitor, x=np.full_like(X, math.nan))


def ends_in_the_graph(model, monitor):
    y = Y.copy()
    y[9] = 1000.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="a thousand"):
        fit(model, monitor, y=y)


def ends_in_the_data(model, monitor):
    def batches():
        yield X[:4], Y[:4]
        raise Bang

    data = tf.data.Dataset.from_generator(
        batches,
        output_signature=(tf.TensorSpec((4, 4)), tf.TensorSpec((4, 1))),
    )
    with pytest.raises(tf.errors.OpError, match="Bang"):
        model.fit(data, verbose=0, shuffle=False, callbacks=[monitor])


def ends_while_tracing(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, SwitchOn(Bang()))
    Trouble.exception = None


def ends_in_a_callback(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, Callback("on_train_batch_end", Bang()))


def ends_in_a_callback_before_the_first_step(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, Callback("on_epoch_begin", Bang()))


def ends_in_validation(model, monitor):
    with pytest.raises(tf.errors.InvalidArgumentError, match="a thousand"):
        fit(model, monitor, validation_data=(X, np.full_like(Y, 1000)))


def ends_by_the_keyboard(model, monitor):
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Callback("on_train_batch_end", KeyboardInterrupt()))


def ends_by_the_keyboard_in_the_step(model, monitor):
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, SwitchOn(KeyboardInterrupt()))
    Trouble.exception = None


WITH_THE_STEP = [
    ends_normally,
    ends_by_a_finding,
    ends_in_the_graph,
    ends_in_the_data,
    ends_while_tracing,
    ends_by_the_keyboard_in_the_step,
]
ELSEWHERE = [
    ends_in_a_callback,
    ends_in_a_callback_before_the_first_step,
    ends_in_validation,
    ends_by_the_keyboard,
]


def name_of(end):
    return end.__name__.removeprefix("ends_")


@pytest.mark.parametrize("end", WITH_THE_STEP + ELSEWHERE, ids=name_of)
def test_however_it_ends(end, model, monitor, tmp_path):
    fit(model)
    plain = model.train_function

    end(model, monitor)

    if end in WITH_THE_STEP:
        assert hooks(model) == set()
        assert model.train_function is plain
    else:  # no hook of ours ran; the next call of `fit` puts it right
        assert hooks(model) <= {("model", "make_train_function")}
    if end is ends_by_a_finding:  # the update was made: `raise` does not hold it back
        model.set_weights([np.ones(v.shape) for v in model.variables])
    assert_as_if_never_there(model, tmp_path)

    seen = monitor.stats, list(monitor.findings)
    steps = int(model.optimizer.iterations)
    fit(model)  # without the monitor
    assert hooks(model) == set()
    assert model.train_function is plain
    assert (monitor.stats, monitor.findings) == seen
    assert int(model.optimizer.iterations) == steps + 4

    fit(model, monitor, x=np.full_like(X, math.nan))  # and with it
    assert monitor.findings[0].step == steps + 5
    assert hooks(model) == set()
    assert model.train_function is plain


@pytest.mark.parametrize("end", [ends_in_a_callback, ends_by_the_keyboard], ids=name_of)
@pytest.mark.parametrize(
    "way_on", ["train_on_batch", "evaluate and predict", "compile", "other monitor"]
)
def test_ways_on_after_a_broken_fit(end, way_on, model, monitor):
    end(model, monitor)
    before = monitor.stats

    if way_on == "train_on_batch":
        model.train_on_batch(X, Y)
    elif way_on == "evaluate and predict":
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
        fit(model)
    elif way_on == "compile":
        model.compile("adam", loss)
        fit(model)
    else:
        other = ka.ActivationMonitor(verbose=0, every=1)
        fit(model, other)
        assert len(other.stats) == 2

    assert monitor.stats is before
    assert hooks(model) == set()


def test_a_monitor_of_a_broken_fit_can_watch_another_model(model, monitor):
    ends_by_the_keyboard(model, monitor)
    # In a notebook: interrupt, make the model anew, run the cell again.
    anew = keras.models.clone_model(model)
    anew.compile("adam", loss)
    fit(anew, monitor)
    assert len(monitor.stats) == 2
    assert hooks(anew) == set()


def test_a_step_run_eagerly_leaves_nothing(model, monitor):
    model.compile("adam", loss, run_eagerly=True)
    plain = model.train_function
    ends_by_the_keyboard_in_the_step(model, monitor)
    assert hooks(model) == set()
    fit(model, monitor)
    assert hooks(model) == set()
    assert len(monitor.stats) == 2
    assert model.train_function is not plain  # `fit` made one; it is Keras's own
    assert "monitor" not in repr(model.train_function)


def test_what_the_user_put_in_place_stays(model, monitor):
    calls = []
    hidden, own = model.layers[0], {}

    def mine(owner, name):
        original = getattr(owner, name)

        def patched(*args, **kwargs):
            calls.append(name)
            return original(*args, **kwargs)

        own[name] = vars(owner)[name] = patched

    mine(hidden, "call")
    mine(model, "train_step")
    mine(model.optimizer, "apply")

    fit(model, monitor)

    assert set(calls) == {"call", "train_step", "apply"}
    assert vars(hidden)["call"] is own["call"]
    assert vars(model)["train_step"] is own["train_step"]
    assert vars(model.optimizer)["apply"] is own["apply"]
    assert monitor.stats["model/hidden"].gradient_norm is not None


class Recorder(keras.callbacks.Callback):
    """What is in place between the steps."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def on_train_batch_end(self, batch, logs=None):
        self.seen |= hooks(self.model)


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update(
                {name: item[()]} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return found


def test_checkpoints_during_fit_hold_the_users_model_only(model, tmp_path):
    def checkpoints(folder, *callbacks):
        keras.utils.set_random_seed(3)
        keras.backend.clear_session()
        model = make_model()
        saving = [
            keras.callbacks.ModelCheckpoint(
                tmp_path / folder / name, save_freq=1, **how
            )
            for name, how in (
                ("{batch}.keras", {}),
                ("{batch}.weights.h5", {"save_weights_only": True}),
            )
        ]
        fit(model, *callbacks, *saving)
        return model

    recorder = Recorder()
    monitor = ka.ActivationMonitor(every=1, on_nonfinite="clip", verbose=0)
    watched = checkpoints("watched", monitor, recorder)
    checkpoints("plain")

    assert recorder.seen == {
        ("model", "make_train_function")
    }  # taps only while tracing
    for batch in (1, 4):
        ours, plain = (
            keras.models.load_model(tmp_path / run / f"{batch}.keras", compile=False)
            for run in ("watched", "plain")
        )
        assert names(ours) == names(plain) == names(watched)
        assert_same_values(ours.get_weights(), plain.get_weights())
        ours, plain = (
            datasets(tmp_path / run / f"{batch}.weights.h5")
            for run in ("watched", "plain")
        )
        assert ours.keys() == plain.keys()
        assert_same_values(ours.values(), plain.values())
    clone = keras.models.clone_model(watched)
    clone.load_weights(tmp_path / "watched" / "4.weights.h5")
    assert_same_values(clone.get_weights(), watched.get_weights())


# More than one


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
    monitored = monitor._session._fit._monitored
    fit(model, monitor)
    assert monitor._session._fit._monitored is monitored


# A loop by hand


@pytest.mark.parametrize("exception", [None, Bang, KeyboardInterrupt])
def test_a_loop_by_hand(model, monitor, exception, tmp_path):
    fit(model)
    plain = model.train_function
    context = pytest.raises(exception) if exception else contextlib.nullcontext()
    with context, monitor.attach(model):
        model.train_on_batch(X, Y)
        assert monitor.step() == []
        if exception:
            raise exception
    assert len(monitor.stats) == 2
    assert hooks(model) == set()
    assert model.train_function is plain
    assert_as_if_never_there(model, tmp_path)
    fit(model)
    assert hooks(model) == set()
