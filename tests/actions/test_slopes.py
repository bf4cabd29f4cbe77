import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_activations as ka
from keras_activations.actions.slopes import finite_gradient, inward, sloped


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("tanh", -1.44, 1.44),  # 1 - tanh(z)**2 = 0.2
        ("sigmoid", -2.88, 2.88),
        ("relu", 0.0, math.inf),
        ("relu6", 0.0, 6.0),
        ("hard_tanh", -1.0, 1.0),
        ("elu", -1.61, math.inf),  # exp(z) = 0.2
        ("leaky_relu", -math.inf, math.inf),
        ("linear", -math.inf, math.inf),
        ("exponential", -2.0, 2.0),
    ],
)
def test_where_there_is_slope(name, low, high):
    found = sloped(getattr(keras.activations, name))
    assert found == pytest.approx((low, high), abs=0.02)


def test_of_other_functions():
    assert sloped(ka.functional.clipped_tanh) == pytest.approx((-1.44, 1.44), abs=0.02)
    assert sloped(keras.layers.ReLU(max_value=3.0).call)[1] == pytest.approx(
        3, abs=0.02
    )
    assert sloped(lambda x: 0 * x) is None


def test_a_gradient_leads_back_inside():
    function = inward(keras.activations.tanh, -1.0, 1.0)
    x = tf.constant([-3.0, -3.0, 0.5, 3.0, 3.0])
    upstream = tf.constant([-1.0, 1.0, 1.0, -1.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    gradient = tape.gradient(y, x, output_gradients=upstream)
    inside = np.clip(x, -1, 1)
    np.testing.assert_allclose(y, np.tanh(inside), rtol=1e-6)
    # The step goes against the gradient: up from -3 and down from 3.
    passes = np.array([1, 0, 1, 0, 1])
    expected = passes * upstream.numpy() * (1 - np.tanh(inside) ** 2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_a_floor_alone_and_a_bound_that_is_kept_in_half_precision():
    function = inward(keras.activations.relu, 0.01, math.inf)
    x = tf.constant([-5.0, 7.0, 60000.0], tf.float16)
    assert function(x).dtype == tf.float16
    np.testing.assert_allclose(function(x), [0.01, 7, 60000], rtol=1e-3)
    assert function.__name__ == "relu"


def test_gradients_that_are_not_finite():
    x = tf.constant([0.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.sqrt(finite_gradient(x))
    np.testing.assert_allclose(tape.gradient(y, x), [0.0, 0.25])
