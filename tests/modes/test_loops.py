"""Training loops written by hand: what they computed, and that it is the same."""

import contextlib

import keras
import pytest
import tensorflow as tf

from tests.modes.runs import (
    Run,
    batches,
    classifier,
    crossentropy,
    digits,
    make_monitor,
    watch,
)
from tests.modes.twin import assert_describes_steps, assert_describes_update

STEPS = 6


def make_step(model, optimizer):
    loss_of = crossentropy()

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
            scaled = optimizer.scale_loss(loss)
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(scaled, weights), weights)
        return loss

    return step


def loop(monitor, compiled, optimizer):
    """Trains on `digits`, evaluating in between; gives a `Run`."""
    keras.utils.set_random_seed(1)
    model = classifier()
    model.optimizer = optimizer
    step = make_step(model, optimizer)
    if compiled:
        step = tf.function(step)
    logs, weights = [], [model.get_weights()]
    with monitor.attach(model) if monitor else contextlib.nullcontext():
        for batch in batches(*digits(STEPS)):
            logs.append(float(step(*batch)))
            if monitor:
                assert monitor.step() == []
            model(100 * batch[0], training=False)
            weights.append(model.get_weights())
    return Run(model, logs, weights[:-1], weights[1:])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_loops(compiled):
    """The first step builds the optimizer, and is described unscaled as well."""

    def run(monitor):
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01))
        return loop(monitor, compiled, scaled)

    watched = watch(run)
    assert [window.step for window in watched.windows] == list(range(1, STEPS + 1))
    names = [v.path for v in watched.model.weights]
    for before, batch, after, window in zip(
        watched.before,
        batches(*digits(STEPS)),
        watched.after,
        watched.windows,
        strict=True,
    ):
        assert_describes_steps(window, [(before, batch)])
        assert_describes_update(window, names, before, after)


def test_a_loop_inside_one_function():
    """The steps of an epoch, none of which comes up to the host, are one window."""

    def run(monitor):
        keras.utils.set_random_seed(1)
        model, optimizer = classifier(), keras.optimizers.SGD(0.0, momentum=0.9)
        model.optimizer = optimizer
        step = make_step(model, optimizer)

        @tf.function
        def epoch(data):
            total = 0.0
            for x, y in data:
                total += step(x, y)
            return total

        data = tf.data.Dataset.from_tensor_slices(digits(STEPS)).batch(8)
        before = model.get_weights()
        with monitor.attach(model) if monitor else contextlib.nullcontext():
            logs = [float(epoch(data))]
            if monitor:
                assert monitor.step() == []
        return Run(model, logs, [before], [model.get_weights()])

    watched = watch(run)
    (window,) = watched.windows
    assert window.step == STEPS
    (before,) = watched.before
    steps = [(before, batch) for batch in batches(*digits(STEPS))]
    assert_describes_steps(window, steps)


def test_gradients_summed_by_hand():
    """Two forward passes and one update are one step, and both are counted."""
    keras.utils.set_random_seed(1)
    model, optimizer = classifier(), keras.optimizers.SGD(0.1)
    loss_of, weights = crossentropy(), model.trainable_variables
    before, data = model.get_weights(), batches(*digits(2))
    monitor, windows = make_monitor()
    with monitor.attach(model, optimizer):
        sums = [0.0] * len(weights)
        for x, y in data:
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True)) / len(data)
            gradients = tape.gradient(loss, weights)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)]
        optimizer.apply(sums, weights)
        assert monitor.step() == []
    (window,) = windows
    assert window.step == 1
    both = digits(2)
    assert_describes_steps(window, [(before, both)])
