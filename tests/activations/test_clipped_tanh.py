"""The clipped tanh: its range, its limit, its gradient outside."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_activations.activations import functional
from keras_activations.activations.clipped_tanh import GREATEST_LIMIT
from tests.activations.twins import each_dtype, to_float64, with_and_without_xla


@each_dtype
@with_and_without_xla
def test_clipped_tanh_stays_inside_the_open_interval(dtype, xla):
    x = tf.cast(np.linspace(-60, 60, 30_001), dtype)
    for limit in (3.0, GREATEST_LIMIT[dtype]):

        @tf.function(jit_compile=xla, autograph=False)
        def run(x, limit=limit):
            return functional.clipped_tanh(x, limit)

        assert np.abs(to_float64(run(x))).max() < 1
    if dtype == "bfloat16":  # its neighbour below 1
        assert to_float64(functional.clipped_tanh(x)).max() == 0.99609375


@each_dtype
def test_a_limit_that_rounds_to_one_is_refused(dtype):
    greatest = GREATEST_LIMIT[dtype]
    with pytest.raises(ValueError, match=f"{dtype}.*{greatest}.*Received: limit=19.1"):
        functional.clipped_tanh(tf.zeros(3, dtype), 19.1)


@pytest.mark.parametrize("limit", [0, -1.0, math.inf, math.nan, "3", None])
def test_a_bad_limit_is_refused(limit):
    with pytest.raises(ValueError, match="positive, finite.*Received: limit="):
        functional.clipped_tanh(tf.zeros(3), limit)


def test_a_bad_outside_gradient_is_refused():
    with pytest.raises(ValueError, match="'inward'.*Received: outside_gradient='out'"):
        functional.clipped_tanh(tf.zeros(3), outside_gradient="out")


@pytest.mark.parametrize(
    ("option", "passes"),
    [
        # x:  4,    4,   -4,    -4, the limit itself twice; upstream +, -, +, -, +, -
        ("zero", [0, 0, 0, 0, 1, 1]),
        ("inward", [1, 0, 0, 1, 1, 1]),
        ("straight_through", [1, 1, 1, 1, 1, 1]),
    ],
)
@with_and_without_xla
def test_gradient_outside_the_limit(option, passes, xla):
    upstream = tf.constant([2.0, -2.0, 2.0, -2.0, 2.0, -2.0])
    x = tf.constant([4.0, 4.0, -4.0, -4.0, 3.0, 3.0])

    @tf.function(jit_compile=xla, autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = functional.clipped_tanh(x, outside_gradient=option)
        return tape.gradient(y, x, output_gradients=upstream)

    expected = np.array(passes) * upstream.numpy() / np.cosh(3.0) ** 2
    np.testing.assert_allclose(gradient(), expected, rtol=1e-4)
