"""Where an activation has slope, found by asking it."""

import functools
import math

import numpy as np
import tensorflow as tf

FURTHEST = 20.0  # looked at to either side of 0
STEEP = 0.2  # share of the greatest slope that is slope enough
GROWTH = 2.0  # an activation that grows beyond all bounds is bounded here


def sloped(activation):
    """The pre-activations between which an activation has slope.

    Around the greatest slope nearest to 0, as far as it does not fall under a fifth of
    that. Where slopes grow without end, as the exponential's do, up to +-2.

    Args:
        activation: an elementwise function.

    Returns:
        (low, high): floats, infinite where the slope never falls; None for an
        activation that is flat everywhere.
    """
    points = np.linspace(-FURTHEST, FURTHEST, 4001, dtype=np.float32)
    slope = np.abs(_slopes(activation, points))
    near = np.abs(points) <= GROWTH
    greatest = slope[near].max()
    if not greatest > 0:
        return None
    if slope.max() > 10 * greatest:
        return -GROWTH, GROWTH
    steep = slope >= STEEP * greatest
    top = np.flatnonzero(near & (slope == greatest))
    top = top[np.argmin(np.abs(points[top]))]
    flat = np.flatnonzero(~steep)
    low = flat[flat < top].max(initial=-1) + 1
    high = flat[flat > top].min(initial=len(points)) - 1
    return (
        -math.inf if low == 0 else float(points[low]),
        math.inf if high == len(points) - 1 else float(points[high]),
    )


def _slopes(activation, points):
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = activation(points)
    return np.nan_to_num(tape.gradient(values, points).numpy(), posinf=np.inf)


def inward(activation, low, high):
    """The activation of the clipped pre-activation, with a gradient that leads back.

    Inside the bounds nothing changes. A value outside is taken to be at the bound, and
    a gradient whose step moves it back inside passes as it would there.

    Args:
        activation: an elementwise function.
        low, high: bounds of the pre-activation, infinite where there is none.
    """

    @tf.custom_gradient
    def clipped(x):
        inside = tf.clip_by_value(x, tf.cast(low, x.dtype), tf.cast(high, x.dtype))

        def gradient(upstream):
            # Descending along the gradient moves the value against its sign.
            back = ((x < low) & (upstream < 0)) | ((x > high) & (upstream > 0))
            passes = back | ((x >= low) & (x <= high))
            return tf.where(passes, upstream, tf.zeros_like(upstream))

        return inside, gradient

    @functools.wraps(activation)
    def bounded(x, *args, **kwargs):
        return activation(clipped(tf.convert_to_tensor(x)), *args, **kwargs)

    return bounded


@tf.custom_gradient
def finite_gradient(x):
    """The value itself; of its gradient the entries that are not finite become 0."""

    def gradient(upstream):
        return tf.where(tf.math.is_finite(upstream), upstream, tf.zeros_like(upstream))

    return tf.identity(x), gradient


def scaled_gradient(factor):
    """A function that gives the value itself, and multiplies its gradient."""

    @tf.custom_gradient
    def same(x):
        return tf.identity(x), lambda upstream: upstream * tf.cast(factor, x.dtype)

    return same
