"""Second derivatives, forward mode and vectorized_map, against float64 differences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.activations.twins import FUNCTIONS, each_function, with_and_without_xla

# Between the kinks, on both sides of them.
X = np.array([-6.5, -4.0, -2.5, -1.0, -0.3, 0.4, 1.1, 2.5, 4.0, 6.5])
DIRECTION = np.linspace(-1, 2, 10)
STEP = 1e-5


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


def penalty(function, x):
    """The gradient of a gradient penalty: half the square of a weighted gradient."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        slope = gradient(function, x)
        loss = tf.reduce_sum(DIRECTION * slope**2) / 2
    return outer.gradient(loss, x)


def along(function, x):
    """A Jacobian-vector product, in forward mode."""
    with tf.autodiff.ForwardAccumulator(x, tf.constant(DIRECTION)) as forward:
        y = function(x)
    return forward.jvp(y)


def hessian_along(function, x):
    """A Hessian-vector product, forward over reverse."""
    with tf.autodiff.ForwardAccumulator(x, tf.constant(DIRECTION)) as forward:
        slope = gradient(function, x)
    return forward.jvp(slope)


def curvature(function):
    """The second derivative, by differences of the first."""
    above, below = (gradient(function, tf.constant(X + s)) for s in (STEP, -STEP))
    return (above - below).numpy() / (2 * STEP)


def run(method, name, xla):
    function = FUNCTIONS[name]
    if xla == "eager":
        return method(function, tf.constant(X)).numpy()
    traced = tf.function(lambda x: method(function, x), jit_compile=xla)
    return traced(tf.constant(X)).numpy()


@each_function
@pytest.mark.parametrize("xla", ["eager", False, True])
def test_gradient_penalty(name, xla):
    slope = gradient(FUNCTIONS[name], tf.constant(X)).numpy()
    expected = DIRECTION * slope * curvature(FUNCTIONS[name])
    found = run(penalty, name, xla)
    if name == "straight":  # outside, the clip counts as the identity each time
        outside = np.abs(X) > 1.25
        assert np.isfinite(found[outside]).all()
        found, expected = found[~outside], expected[~outside]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@each_function
@pytest.mark.parametrize("xla", ["eager", False, True])
def test_forward_mode(name, xla):
    slope = gradient(FUNCTIONS[name], tf.constant(X)).numpy()
    # There is no upstream gradient to let through: it is the formula that is derived.
    limit = {"inward": 3.0, "straight": 1.25}.get(name, np.inf)
    expected = np.where(np.abs(X) <= limit, DIRECTION * slope, 0.0)
    np.testing.assert_allclose(run(along, name, xla), expected, rtol=1e-12)
    found = run(hessian_along, name, xla)
    expected = DIRECTION * curvature(FUNCTIONS[name])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@each_function
@with_and_without_xla
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_vectorized_map(name, xla, dtype):
    function, x = FUNCTIONS[name], tf.cast(X.reshape(5, 2), dtype)

    @tf.function(jit_compile=xla)
    def mapped(x):
        slopes = tf.vectorized_map(lambda row: gradient(function, row), x)
        return tf.vectorized_map(function, x), slopes

    y, slopes = mapped(x)
    tolerance = 1e-3 if dtype == "float16" else 1e-12
    np.testing.assert_allclose(y, function(x), rtol=tolerance)
    np.testing.assert_allclose(slopes, gradient(function, x), rtol=tolerance)


@each_function
def test_batch_jacobian(name):
    x = tf.constant(X.reshape(5, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = FUNCTIONS[name](x)
    jacobian = tape.batch_jacobian(y, x).numpy()
    slope = gradient(FUNCTIONS[name], x).numpy()
    np.testing.assert_allclose(jacobian, slope[..., None] * np.eye(2), rtol=1e-12)
