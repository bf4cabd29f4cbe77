"""Sums and histograms of samples, worked out once a sampled step is done.

In TensorFlow, where the sample lies: on the way to the host there are sums only. For
those that lie there already, see `counting_on_host`. Values are taken in the dtype they
come in, sums go on in float64.
"""

from typing import NamedTuple

import tensorflow as tf

BINS = 64
MOMENTS = ("count", "sum", "centred_squares", "squared_means", "low", "high", "zeros")
COLUMNS = 2 + len(MOMENTS) + BINS  # of a summary


def sample_extremes(samples, number):
    """The least and greatest value of each layer, shape `(layers, 2)`.

    Args:
        samples, number: see `sample_summary`.
    """
    values = _side_by_side(samples, number)
    return _finite_extremes(values, tf.math.is_finite(values))


def sample_summary(samples, number, thresholds, ranges):
    """All that is counted of samples, in one call.

    Args:
        samples: float32 or float64 tensor of shape `(slots, layers, n)`, at most 2**24
            values a layer; what is not finite is passed over.
        number: int or scalar tensor, slots in use.
        thresholds: array of shape `(layers, 2)`: at or below the first and at or
            above the second a value is saturated.
        ranges: array of shape `(layers, 2)`, finite and increasing; NaN counts
            nothing.

    Returns:
        float64 tensor of shape `(layers, COLUMNS)`: least and greatest value
        (inf and -inf where there is none), `MOMENTS`, histogram.
    """
    values = held(_side_by_side(samples, number))
    thresholds, ranges = map(tf.convert_to_tensor, (thresholds, ranges))
    parts = values.extremes, moments(values, thresholds), histograms(values, ranges)
    return tf.concat(parts, axis=1)


def _side_by_side(samples, number):
    taken = tf.transpose(samples[:number], [1, 0, 2])
    return tf.reshape(taken, [tf.shape(samples)[1], -1])


class Held(NamedTuple):
    """Values to count, with 0 in place of those that are not finite.

    To mask every step of a count would double its cost: what these zeros add to it is
    taken away again at its end.

    Attributes:
        values: tensor of shape `(layers, n)`.
        finite: boolean tensor of that shape, False where a zero stands in.
        missing: how many of each layer were not finite, float64 of shape `(layers,)`.
        extremes: least and greatest finite value, float64 of shape `(layers, 2)`;
            inf and -inf where there is none.
    """

    values: tf.Tensor
    finite: tf.Tensor
    missing: tf.Tensor
    extremes: tf.Tensor

    def masked(self, tensor):
        """The tensor with 0 where a zero stands in."""
        return tf.cond(
            tf.reduce_any(self.missing > 0),
            lambda: tf.where(self.finite, tensor, tf.zeros_like(tensor)),
            lambda: tensor,
        )


def held(values):
    """`Held` for a tensor of shape `(layers, n)`."""
    finite = tf.math.is_finite(values)

    def whole():
        ends = tf.stack([tf.reduce_min(values, 1), tf.reduce_max(values, 1)], axis=1)
        missing = tf.zeros(tf.shape(values)[:1], tf.float64)
        return values, missing, tf.cast(ends, tf.float64)

    def holed():
        missing = _row_sums(tf.cast(~finite, values.dtype))
        kept = tf.where(finite, values, tf.zeros_like(values))
        return kept, missing, _finite_extremes(values, finite)

    kept, missing, extremes = tf.cond(tf.reduce_all(finite), whole, holed)
    return Held(kept, finite, missing, extremes)


def _finite_extremes(values, finite):
    infinity = tf.cast(float("inf"), values.dtype)
    low = tf.reduce_min(tf.where(finite, values, infinity), axis=1)
    high = tf.reduce_max(tf.where(finite, values, -infinity), axis=1)
    return tf.cast(tf.stack([low, high], axis=1), tf.float64)


def moments(held, thresholds):
    """Sums from which `LayerStats` follow, and which add up over replicas.

    Args:
        held: a `Held`.
        thresholds: see `sample_summary`.

    Returns:
        float64 tensor of shape `(layers, 7)`, the columns named in `MOMENTS`.
    """
    values, missing = held.values, held.missing
    count = tf.cast(tf.shape(values)[1], tf.float64) - missing
    # Relative to the greatest value: squares of float32 overflow from 2e19 on.
    scale = tf.reduce_max(tf.abs(held.extremes), axis=1)
    scale = tf.where(tf.math.is_finite(scale) & (scale > 1e-30), scale, 1.0)
    # In two steps: the inverse of the greatest float32 is no normal number.
    relative = values / 4 * tf.cast(4 / scale, values.dtype)[:, None]
    total = _row_sums(relative)
    mean = tf.math.divide_no_nan(total, count)
    # Centred first: the difference of two large squares would lose all digits.
    deviations = held.masked(relative - tf.cast(mean, values.dtype)[:, None])

    squares = _row_sums(tf.square(deviations))
    # The mean was rounded to the values' dtype.
    squares -= tf.math.divide_no_nan(tf.square(_row_sums(deviations)), count)

    def number(condition, holds_for_zero):
        found = _row_sums(tf.cast(condition, values.dtype))
        return found - missing * tf.cast(holds_for_zero, tf.float64)

    low, high = thresholds[:, 0], thresholds[:, 1]
    below = values <= tf.cast(low, values.dtype)[:, None]
    above = values >= tf.cast(high, values.dtype)[:, None]
    return tf.stack(
        [
            count,
            total * scale,
            tf.maximum(squares, tf.constant(0.0, tf.float64)) * tf.square(scale),
            total * mean * tf.square(scale),
            number(below, low >= 0),
            number(above, high <= 0),
            number(tf.equal(values, 0), True),
        ],
        axis=1,
    )


def histograms(held, ranges):
    """Counts in `BINS` bins of equal width; what lies outside goes to the end bins.

    Args:
        held: a `Held`.
        ranges: see `sample_summary`.

    Returns:
        float64 tensor of shape `(layers, BINS)`.
    """
    dtype = held.values.dtype
    known = tf.math.is_finite(ranges[:, 0])
    low = tf.where(known, ranges[:, 0], 0.0)
    per_unit = tf.where(known, BINS / (ranges[:, 1] - ranges[:, 0]), 0.0)
    # Halved first: the distance of two float32 values may be beyond float32.
    half_low, twice = tf.cast(low / 2, dtype), tf.cast(per_unit * 2, dtype)

    def columns(values):
        place = (values / 2 - half_low[:, None]) * twice[:, None]
        return tf.cast(tf.clip_by_value(place, 0.0, BINS - 1.0), tf.int32)

    counts = tf.raw_ops.DenseBincount(
        input=columns(held.values), size=BINS, weights=tf.constant([], tf.float64)
    )
    nothing = columns(tf.zeros([tf.shape(held.values)[0], 1], dtype))[:, 0]
    counts -= held.missing[:, None] * tf.one_hot(nothing, BINS, dtype=tf.float64)
    return counts * tf.cast(known, tf.float64)[:, None]


def _row_sums(tensor):
    return tf.cast(tf.reduce_sum(tensor, axis=1), tf.float64)
