"""What XLA compiles is known, and what it computes is counted outside of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_activations as ka
from keras_activations.telemetry.xla import traces_for_xla
from tests.modes.runs import digits


@pytest.mark.parametrize("jit", [True, False, None])
def test_it_is_known_whether_xla_will_compile_what_is_traced(jit):
    seen = []

    def step(x):
        seen.append(traces_for_xla())
        return x + 1.0

    tf.function(step, jit_compile=jit)(1.0)
    tf.function(lambda x: tf.function(step)(x), jit_compile=jit)(1.0)
    assert set(seen) == {bool(jit)}


def test_a_trace_serves_in_several_places():
    """Of three steps in a row two are traced with what was traced for the first."""
    x, y = digits(3)
    hidden = layers.Dense(12, "tanh")
    network = keras.Sequential([keras.Input((64,)), hidden, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = []
    for jit in (True, False):
        model = keras.models.clone_model(network)
        model.set_weights(network.get_weights())
        model.compile("sgd", loss, jit_compile=jit, steps_per_execution=3)
        model.unrolled_steps_per_execution = 3
        monitor = ka.ActivationMonitor(every=1, verbose=0)
        model.fit(
            x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[monitor], epochs=2
        )
        found.append(next(s for s in monitor.stats.values() if s.count))
    one, other = found
    assert one.count == other.count == 3 * 8 * 12
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-4)
    np.testing.assert_allclose(one.std, other.std, rtol=1e-4)
