"""The clipped tanh: its errors, its range, its limit, its gradient outside."""

import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.numerics.inputs import inputs
from keras_activations.activations import functional
from keras_activations.activations.clipped_tanh import GREATEST_LIMIT
from tests.activations.bounds import EPSILON, HALVES, assert_bounds
from tests.activations.twins import (
    computed,
    each_dtype,
    to_float64,
    ulps,
    with_and_without_xla,
)

OPTIONS = ("zero", "inward", "straight_through")


@each_dtype
@with_and_without_xla
def test_bounds(dtype, xla):
    assert_bounds("clipped_tanh", dtype, ulps("clipped_tanh", dtype, xla))


@each_dtype
@with_and_without_xla
def test_odd_and_monotonic(dtype, xla):
    x = inputs(dtype, 20_000)
    y, gradient = computed("clipped_tanh", x, dtype, xla)
    mirrored, slope = computed("clipped_tanh", -x, dtype, xla)
    np.testing.assert_array_equal(mirrored, -y)
    np.testing.assert_array_equal(slope, gradient)
    # Between neighbours in float32 and float64 TensorFlow's tanh falls by its error.
    apart = 1 if dtype in HALVES else 8
    assert (np.diff(y[::apart]) >= 0).all()


@each_dtype
@with_and_without_xla
def test_output_stays_inside_the_open_interval(dtype, xla):
    # Finely above the limit's own neighbourhood, where tanh itself reaches 1.
    limit = GREATEST_LIMIT[dtype]
    x = np.concatenate([np.linspace(-limit - 1, limit + 1, 200_001), [-1e4, 1e4]])

    @tf.function(jit_compile=xla, autograph=False)
    def run(x):
        return [functional.clipped_tanh(x, limit, option) for option in OPTIONS]

    for y in run(tf.cast(x, dtype)):
        assert np.isfinite(tf.atanh(tf.cast(y, "float64"))).all()
        assert np.isfinite(tf.atanh(y)).all()
    if dtype == "bfloat16":  # its neighbour below 1
        assert to_float64(y).max() == 0.99609375


@pytest.mark.parametrize("option", ["inward", "straight_through"])
@each_dtype
@with_and_without_xla
def test_inside_the_limit_all_options_are_the_same(option, dtype, xla):
    x = inputs(dtype, 20_000)
    name = {"inward": "inward", "straight_through": "straight"}[option]
    limit = 3.0 if option == "inward" else 1.25

    @tf.function(jit_compile=xla, autograph=False)
    def zero(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = functional.clipped_tanh(x, limit)
        return y, tape.gradient(y, x)

    expected, slope = (to_float64(part) for part in zero(tf.cast(x, dtype)))
    y, gradient = computed(name, x, dtype, xla)
    np.testing.assert_array_equal(y, expected)
    inside = np.abs(x) <= limit
    np.testing.assert_allclose(gradient[inside], slope[inside], 4 * EPSILON[dtype])


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
