"""Training loops written by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_activations as ka


def network(last=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, "tanh", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, last, name="head")(x))


def batches(count=5, bad=None):
    x = np.random.default_rng(0).normal(size=(count, 8, 4)).astype("float32")
    if bad is not None:
        x[bad, 0, 0] = np.nan
    return [(tf.constant(rows), tf.constant(rows[:, :1])) for rows in x]


def make_step(model, optimizer, jit):
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    return step if jit is None else tf.function(step, jit_compile=jit)


@pytest.mark.parametrize("jit", [None, False, True], ids=["eager", "graph", "xla"])
def test_loop(jit):
    results = []
    for watched in (False, True):
        model, optimizer = network(), keras.optimizers.Adam(0.01)
        step, monitor = (
            make_step(model, optimizer, jit),
            ka.ActivationMonitor(every=1, verbose=0),
        )
        if watched:
            with monitor.attach(model, optimizer):
                for x, y in batches():
                    step(x, y)
                    assert monitor.step() == []
                    model(x, training=False)  # no step
        else:
            for x, y in batches():
                step(x, y)
        results.append([v.numpy() for v in model.variables + optimizer.variables])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    hidden = monitor.stats["hidden"]
    assert hidden.count == 8 * 8
    assert hidden.gradient_norm > 0 and hidden.update_ratio > 0
    assert "call" not in vars(model.layers[1])
    assert "apply" not in vars(optimizer)


@pytest.mark.parametrize("jit", [None, False], ids=["eager", "graph"])
def test_findings_of_a_step(jit):
    model, optimizer = network(), keras.optimizers.SGD(0.01)
    step = make_step(model, optimizer, jit)
    monitor = ka.ActivationMonitor(every=100, on_nonfinite="stop", verbose=0)
    found = []
    with monitor.attach(model, optimizer):
        for x, y in batches(bad=2):
            step(x, y)
            found.append(monitor.step())
    assert [len(findings) for findings in found] == [0, 0, 1, 0, 0]
    (finding,) = monitor.findings
    assert (finding.layer, finding.step) == ("hidden", 3)
    assert model.stop_training


def test_clip_in_a_loop():
    model, optimizer = network(), keras.optimizers.Adam(0.01)
    step = make_step(model, optimizer, False)
    monitor = ka.ActivationMonitor(on_nonfinite="clip", verbose=0)
    with monitor.attach(model, optimizer):
        for x, y in batches(bad=2):
            step(x, y)
            monitor.step()
    assert int(optimizer.iterations) == 4
    assert all(np.isfinite(v.numpy()).all() for v in model.variables)


def test_without_an_optimizer_there_are_no_gradients():
    model = network()
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    with monitor.attach(model):
        model(batches()[0][0], training=True)
        monitor.step()
    assert monitor.stats["hidden"].count == 64
    assert monitor.stats["hidden"].gradient_norm is None


def test_train_on_batch():
    model = network()
    model.compile("sgd", "mse")
    x, y = batches()[0]
    model.train_on_batch(x, y)  # traced without the monitor
    monitor = ka.ActivationMonitor(every=1, verbose=0)
    with monitor.attach(model):
        model.train_on_batch(x, y)
        monitor.step()
    assert monitor.stats["hidden"].count == 64
    assert monitor.stats["hidden"].gradient_norm > 0
    model.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 3


def test_a_step_traced_before_is_said_to_be_unseen():
    model, optimizer = network(), keras.optimizers.SGD(0.01)
    step = make_step(model, optimizer, False)
    x, y = batches()[0]
    step(x, y)
    monitor = ka.ActivationMonitor(verbose=0)
    with (
        monitor.attach(model, optimizer),
        pytest.raises(RuntimeError, match="Trace the training function inside"),
    ):
        step(x, y)
        monitor.step()


def test_step_outside_and_attach_twice():
    monitor = ka.ActivationMonitor(verbose=0)
    with pytest.raises(RuntimeError, match="inside"):
        monitor.step()
    model = network()
    with (
        monitor.attach(model),
        pytest.raises(ValueError, match="already"),
        monitor.attach(model),
    ):
        pass
    with (
        pytest.raises(ValueError, match="must be built"),
        monitor.attach(keras.Sequential([keras.layers.Dense(1)])),
    ):
        pass
    with pytest.raises(ValueError, match="keras.Model"), monitor.attach(tf.Module()):
        pass
