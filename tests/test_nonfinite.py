"""NaN and Inf injected forward and backward: the layer, the step and the count."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_activations as ka
from tests.modes import runs
from tests.poison import BAD_STEP, BATCH, DEPTH, STEPS, batches, chain, fit

BAD = {"nan": np.nan, "inf": np.inf}


@pytest.mark.parametrize("depth", range(DEPTH))
@pytest.mark.parametrize("kind", BAD)
def test_forward_at_each_depth(depth, kind):
    model = chain(depth, BAD[kind])
    monitor = ka.ActivationMonitor(every=2, verbose=0)
    fit(model, monitor)
    (finding,) = monitor.findings
    assert (finding.rule, finding.layer) == ("nonfinite", "poison")
    assert (finding.step, finding.epoch) == (BAD_STEP, 0)
    assert (finding.value, finding.threshold) == (2 * 6, 0)
    assert ("NaN" if kind == "nan" else "infinite") in finding.message
    assert int(model.optimizer.iterations) == BAD_STEP


@pytest.mark.parametrize("depth", range(DEPTH))
@pytest.mark.parametrize("kind", BAD)
def test_backward_at_each_depth(depth, kind):
    model = chain(depth, BAD[kind], backward=True)
    monitor = ka.ActivationMonitor(every=2, verbose=0)
    fit(model, monitor)
    (finding,) = monitor.findings
    # Going back, the first weights to suffer are those before the fault.
    assert finding.layer == f"dense_{depth}"
    assert finding.step == BAD_STEP
    assert f"the gradient of dense_{depth}/kernel has" in finding.message
    assert finding.value == (36 if depth else 24)
    assert "look at poison" in finding.message


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("kind", BAD)
def test_under_xla(backward, kind):
    monitor = ka.ActivationMonitor(every=2, verbose=0)
    fit(chain(1, BAD[kind], backward), monitor, jit=True)
    (finding,) = monitor.findings
    assert finding.layer == ("dense_1" if backward else "poison")
    assert finding.step == BAD_STEP


def test_every_step_is_counted_whatever_is_sampled():
    monitor = ka.ActivationMonitor(
        every=1000, layers=["head"], on_nonfinite="warn", verbose=0
    )
    model = chain(0)
    history = fit(model, monitor).history
    (finding,) = monitor.findings  # later steps are NaN as well: one illness
    assert finding.step == BAD_STEP and finding.layer == "poison"
    # Two flagged examples, then all examples of the two steps that follow.
    assert history["nonfinite"] == [6 * (2 + BATCH * (STEPS - BAD_STEP))]


def test_several_steps_in_one_execution_name_the_first_bad_step():
    monitor = ka.ActivationMonitor(every=100, verbose=0)
    fit(chain(1), monitor, steps_per_execution=5)
    (finding,) = monitor.findings
    assert (finding.step, finding.layer, finding.value) == (BAD_STEP, "poison", 12)


def test_bad_data_is_said_to_be_bad_data():
    (x, flag), y = batches()
    x[BATCH + 1, 2] = np.nan
    monitor = ka.ActivationMonitor(verbose=0)
    fit(chain(), monitor, data=([x, flag], y))
    (finding,) = monitor.findings
    assert (finding.step, finding.layer) == (2, "dense_0")
    assert "the batch itself already holds 1" in finding.message


def test_loss():
    (x, flag), y = batches()
    y = np.where(flag > 0, np.inf, y)
    monitor = ka.ActivationMonitor(verbose=0)
    fit(chain(), monitor, data=([x, flag], y))
    (finding,) = monitor.findings
    assert (finding.step, finding.layer) == (BAD_STEP, "loss")


def test_overflow_of_a_sum_is_no_finding():
    """Finite outputs whose sum overflows trip the sentinel, but are counted exactly."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((4,)),
        keras.layers.Rescaling(3e38),
        keras.layers.Rescaling(0.0),
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = ka.ActivationMonitor(every=1, layers="all", verbose=0)
    ones = np.ones((64, 4), "float32")
    history = model.fit(ones, ones[:, :1], verbose=0, callbacks=[monitor])
    assert monitor.findings == []
    assert history.history["nonfinite"] == [0]


def test_callback_that_watches_the_loss_is_told_nothing():
    """The case the monitor exists for: NaN weights behind a finite loss."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "relu", name="first"),
            keras.layers.Lambda(lambda t: ops.sqrt(ops.relu(t)), name="root"),
            keras.layers.Dense(1, name="head"),
        ]
    )
    (x, _), y = batches()
    monitor = ka.ActivationMonitor(verbose=0)
    fit(model, monitor, data=(x, y))
    (finding,) = monitor.findings
    assert (finding.layer, finding.step) == (f"{model.name}/first", 1)
    assert "root" in finding.message


def test_actions_stop_warn_raise_and_callable():
    model = chain(1)
    calls = []

    def note(finding, model):
        calls.append((finding.layer, model))

    expected = {"stop": BAD_STEP, "warn": STEPS, "ignore": STEPS, note: STEPS}
    for action, steps in expected.items():
        monitor = ka.ActivationMonitor(on_nonfinite=action, verbose=0)
        fit(model, monitor)
        assert int(model.optimizer.iterations) == steps
        name = action if isinstance(action, str) else "note"
        assert [f.action for f in monitor.findings] == [name]
        model = chain(1)
    assert [layer for layer, _ in calls] == ["poison"]
    assert calls[0][1].name == monitor.model.name
    with pytest.raises(ka.FindingError, match="poison") as caught:
        fit(model, ka.ActivationMonitor(on_nonfinite="raise", verbose=0))
    assert caught.value.finding.step == BAD_STEP


def test_findings_are_printed(capsys):
    fit(chain(1), ka.ActivationMonitor(verbose=1))
    shown = capsys.readouterr().out
    assert "step 3, poison" in shown
    assert "Findings (1)" in shown
    fit(chain(1), ka.ActivationMonitor(verbose=0))
    assert capsys.readouterr().out == ""


def test_overflow_that_loss_scaling_is_meant_for_is_no_finding():
    """LossScaleOptimizer skips a step that overflows and halves its scale."""
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "tanh", dtype=policy),
            keras.layers.Dense(1, dtype=policy),
        ]
    )
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(), initial_scale=2.0**24
    )
    x = np.random.default_rng(0).normal(size=(12 * BATCH, 4)).astype("float32")
    monitor = ka.ActivationMonitor(every=1, on_nonfinite="stop", verbose=0)
    fit(model, monitor, optimizer=optimizer, data=(x, x[:, :1]))
    assert 0 < int(optimizer.iterations) < 12  # some were skipped, and it went on
    assert monitor.findings == []
    (first, *_) = monitor.stats.values()
    assert 0 < first.gradient_norm < 100  # unscaled


class Masked(keras.layers.Layer):
    """Puts that number in place of later positions, as attention masks its scores."""

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def call(self, x):
        return ops.where(ops.tri(8, dtype="bool"), x, self.number)


def masked_attention(number, read="softmax"):
    inputs = keras.Input((64,))
    x = keras.layers.Reshape((8, 8))(inputs)
    scores = Masked(number, name="mask")(keras.layers.Dense(8)(x))
    x = keras.layers.Activation(read)(scores) @ x
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize("layers", ["auto", "all"])
def test_a_mask_of_minus_infinity_is_no_fault(layers, jit):
    def run(monitor):
        return runs.fit(lambda: masked_attention(-np.inf), monitor, compile=how)

    how = {"jit_compile": jit}
    monitor = ka.ActivationMonitor(layers=layers, every=4, verbose=0)  # it would stop
    runs.assert_same_bits(run(None), run(monitor))
    assert monitor.findings == []


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_other_numbers_in_its_place_are(number):
    monitor = ka.ActivationMonitor(verbose=0)
    # Of sigmoid comes 1, and everything behind it is finite.
    runs.fit(lambda: masked_attention(number, "sigmoid"), monitor)
    assert [(f.step, f.layer) for f in monitor.findings] == [(1, "mask")]


def test_a_mask_hides_nothing_else():
    monitor = ka.ActivationMonitor(verbose=0)
    x, y = runs.digits(3)
    x[BATCH + 1, 60] = np.nan
    with_mask = lambda: masked_attention(-np.inf)  # noqa: E731
    runs.fit(with_mask, monitor, x=x, y=y, batch_size=BATCH)
    (finding,) = monitor.findings
    assert (finding.step, finding.cause) == (2, "bad_data")


def test_what_the_model_puts_out_is_no_mask():
    """When it predicts, there is no loss that would tell."""
    inputs = keras.Input((64,))
    logarithm = keras.layers.Activation(ops.log, name="logarithm")
    model = keras.Model(inputs, logarithm(inputs))
    model.compile(run_eagerly=True)
    monitor = ka.ActivationMonitor(on_nonfinite="warn", verbose=0)
    x, _ = runs.digits(1)
    model.predict(x, verbose=0, callbacks=[monitor])
    assert [f.layer for f in monitor.findings] == ["logarithm"]


def test_minus_infinity_that_reaches_the_loss_is_a_fault():
    dense = keras.layers.Dense

    def logarithms():
        inputs = keras.Input((64,))
        x = keras.layers.Activation(ops.log)(dense(8, "relu")(inputs))
        return keras.Model(inputs, dense(10)(x))

    monitor = ka.ActivationMonitor(verbose=0)
    runs.fit(logarithms, monitor)
    assert [(f.step, f.rule) for f in monitor.findings] == [(1, "nonfinite")]
    assert monitor.findings[0].layer.startswith("activation")
