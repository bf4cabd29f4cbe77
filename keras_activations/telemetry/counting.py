"""Sums and histograms of samples, worked out once a sampled step is done.

It is done where the sample lies, in plain TensorFlow, by functions traced once for
all models. They work in float64 whatever the layers compute in: float16 sums
overflow, float32 counters stop at 2**24.
"""

import math

import tensorflow as tf

BINS = 64
MOMENTS = ("count", "sum", "centred_squares", "squared_means", "low", "high", "zeros")

_MATRIX = tf.TensorSpec([None, None], tf.float64)
_PAIRS = tf.TensorSpec([None, 2], tf.float64)


@tf.function(input_signature=[_MATRIX, _PAIRS], autograph=False)
def moments(values, thresholds):
    """Sums from which `LayerStats` follow, and which add up over replicas.

    Args:
        values: float64 tensor of shape `(layers, n)`; what is not finite is
            passed over.
        thresholds: float64 tensor of shape `(layers, 2)`: at or below the first
            and at or above the second a value is saturated.

    Returns:
        float64 tensor of shape `(layers, 7)`, the columns named in `MOMENTS`.
    """
    finite = tf.math.is_finite(values)
    zero, nan = _constant(0.0), _constant(math.nan)
    held = tf.where(finite, values, zero)
    count = tf.reduce_sum(tf.cast(finite, tf.float64), axis=1)
    total = tf.reduce_sum(held, axis=1)
    mean = tf.math.divide_no_nan(total, count)
    # Centred first: the difference of two large squares would lose all digits.
    squares = tf.where(finite, tf.square(held - mean[:, None]), zero)
    known = tf.where(finite, values, nan)  # NaN is on no side of a threshold

    def number(condition):
        return tf.reduce_sum(tf.cast(condition, tf.float64), axis=1)

    return tf.stack(
        [
            count,
            total,
            tf.reduce_sum(squares, axis=1),
            total * mean,
            number(known <= thresholds[:, :1]),
            number(known >= thresholds[:, 1:]),
            number(tf.equal(known, zero)),
        ],
        axis=1,
    )


@tf.function(input_signature=[_MATRIX, _PAIRS], autograph=False)
def histograms(values, ranges):
    """Counts in `BINS` bins of equal width; what lies outside goes to the end bins.

    Args:
        values: float64 tensor of shape `(layers, n)`; what is not finite is
            passed over.
        ranges: float64 tensor of shape `(layers, 2)`, finite and increasing; NaN
            counts nothing.

    Returns:
        float64 tensor of shape `(layers, BINS)`.
    """
    layers = tf.shape(values)[0]
    low, high = ranges[:, :1], ranges[:, 1:]
    finite = tf.math.is_finite(values) & tf.math.is_finite(low)
    place = (values - low) / (high - low)
    place = tf.where(tf.math.is_nan(place), _constant(0.0), place)
    column = tf.clip_by_value(tf.floor(place * BINS), 0, BINS - 1)
    segment = tf.cast(column, tf.int32) + BINS * tf.range(layers)[:, None]
    counts = tf.math.unsorted_segment_sum(
        tf.cast(finite, tf.float64), segment, layers * BINS
    )
    return tf.reshape(counts, [layers, BINS])


@tf.function(input_signature=[_MATRIX], autograph=False)
def extremes(values):
    """Least and greatest finite value of each layer, shape `(layers, 2)`.

    (inf, -inf) where there is none.
    """
    finite = tf.math.is_finite(values)
    infinity = _constant(math.inf)
    return tf.stack(
        [
            tf.reduce_min(tf.where(finite, values, infinity), axis=1),
            tf.reduce_max(tf.where(finite, values, -infinity), axis=1),
        ],
        axis=1,
    )


def _constant(value):
    return tf.constant(value, tf.float64)
