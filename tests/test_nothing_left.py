"""However training ends, the model is as if the monitor had never been there."""

import contextlib
import math

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.endings import (
    ELSEWHERE,
    WITH_THE_STEP,
    Bang,
    ends_by_a_finding,
    ends_by_the_keyboard,
    ends_by_the_keyboard_in_the_step,
    ends_in_a_callback,
)
from tests.leftovers import (
    Trouble,
    X,
    Y,
    assert_as_if_never_there,
    fit,
    hooks,
    loss,
    make_model,
)


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(Trouble, "exception", None)
    return make_model()


@pytest.fixture
def monitor():
    return ka.ActivationMonitor(verbose=0, on_nonfinite="warn", every=1)


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
