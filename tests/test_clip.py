"""Updates held back, and the training that goes on after them."""

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.poison import BAD_STEP, BATCH, STEPS, batches, chain, fit


def state(model):
    return [v.numpy() for v in model.weights + model.optimizer.variables]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def with_batch_norm(model):
    """The poisoned chain with moving averages behind the fault."""
    inputs, flag = model.inputs
    x = keras.layers.BatchNormalization(name="norm")(model.output)
    return keras.Model([inputs, flag], keras.layers.Dense(1, name="last")(x))


@pytest.mark.parametrize("backward", [False, True])
def test_clip_drops_the_bad_update_whole(jit, backward):
    good, bad = (with_batch_norm(chain(1, backward=backward)) for _ in range(2))
    data = batches()

    def steps(first, last):
        rows = slice(BATCH * first, BATCH * last)
        return [v[rows] for v in data[0]], data[1][rows]

    fit(good, jit=jit, data=steps(0, BAD_STEP - 1))
    monitor = ka.ActivationMonitor(on_nonfinite="clip", verbose=0)
    history = fit(bad, monitor, jit=jit, data=steps(0, BAD_STEP))
    assert_same(state(good), state(bad))
    (finding,) = monitor.findings
    assert (finding.step, finding.action) == (BAD_STEP, "clip")
    assert np.isfinite(history.history["loss"]).all()
    # The run goes on, and learns.
    model_state = state(bad)
    bad.fit(*steps(BAD_STEP, STEPS), batch_size=BATCH, verbose=0, callbacks=[monitor])
    assert int(bad.optimizer.iterations) == STEPS - 1
    assert not np.array_equal(model_state[0], bad.weights[0].numpy())
    assert all(np.isfinite(v).all() for v in state(bad))
    assert monitor.findings == []


def test_clip_leaves_a_healthy_run_alone():
    states = []
    for monitor in (
        None,
        ka.ActivationMonitor(
            on_nonfinite="clip", on_exploding_gradient="clip", verbose=0, every=2
        ),
    ):
        model = chain()
        fit(model, monitor)
        states.append(state(model))
    assert_same(*states)


def test_clip_limits_later_gradients_to_what_was_usual():
    """After a dropped update the global norm stays at the mean of the healthy steps."""
    rate = 0.1
    model = chain(1)
    monitor = ka.ActivationMonitor(on_nonfinite="clip", verbose=0)
    data, y = batches()
    model.compile(keras.optimizers.SGD(rate), "mse")
    norms, weights = [], [v.numpy() for v in model.weights]

    class Norms(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = [v.numpy() for v in model.weights]
            update = [(a - b) / rate for a, b in zip(weights, now, strict=True)]
            norms.append(np.sqrt(sum((u**2).sum() for u in update)))
            weights[:] = now

    y[BATCH * BAD_STEP :] *= 50  # far larger gradients after the bad step
    model.fit(
        data,
        y,
        batch_size=BATCH,
        verbose=0,
        shuffle=False,
        callbacks=[monitor, Norms()],
    )
    assert norms[BAD_STEP - 1] == 0
    usual = np.mean(norms[: BAD_STEP - 1])
    assert norms[BAD_STEP] == pytest.approx(usual, rel=1e-3)
    assert norms[BAD_STEP + 1] <= usual * 1.001


def test_clip_drops_an_exploding_update(jit):
    x = np.random.default_rng(0).normal(size=(15 * BATCH, 4)).astype("float32")
    y = x[:, :1].copy()
    y[14 * BATCH :] = 1e7
    states = []
    for rows, monitor in (
        (14 * BATCH, None),
        (15 * BATCH, ka.ActivationMonitor(on_exploding_gradient="clip", verbose=0)),
    ):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(1, name="only")]
        )
        keras.utils.set_random_seed(0)
        model.build()
        for variable in model.weights:
            variable.assign(keras.ops.ones_like(variable) * 0.1)
        fit(model, monitor, jit=jit, optimizer="sgd", data=(x[:rows], y[:rows]))
        states.append(state(model))
    assert_same(*states)
    (finding,) = monitor.findings
    assert (finding.rule, finding.step) == ("exploding_gradient", 15)
    assert finding.layer.endswith("only")
    assert finding.action == "clip"
    assert finding.value > finding.threshold
