"""Statistics of layer outputs, computed inside the training step.

Every function here takes and returns tensors, works in float64 whatever the layers
compute in (float16 sums overflow, float32 counters stop at 2**24), and compiles
under XLA.
"""

import math

import tensorflow as tf

BINS = 64
LEAST_WIDTH = 1e-12  # of a histogram's range
MOMENTS = ("count", "sum", "centred_squares", "squared_means", "low", "high", "zeros")


def sample_size(layers):
    """Values looked at per layer and step: small layers whole, large ones in part."""
    return min(2**15, max(2**12, 2**20 // max(layers, 1)))


def rows(tensor, limit, shift, units=1):
    """A sample of a layer's output as a float64 matrix of shape `(rows, units)`.

    All axes but the last are rows. Where there are more rows than asked for, they
    are cut into strata of nearly equal width and one row is drawn from each, at a place
    that moves from stratum to stratum and from step to step by irrational
    fractions: no channel, no position and no example is preferred, and none is
    drawn twice. A fixed stride would see the same corner of every image.

    Args:
        tensor: floating tensor of any shape.
        limit: Python int, greatest number of values wanted.
        shift: scalar float64 tensor in [0, 1), different at each step.
        units: Python int, size of the last axis; 1 looks at single values.

    Returns:
        float64 tensor of shape `(rows, units)`.
    """
    matrix = tf.reshape(tensor, [-1, units])
    wanted = max(1, limit // units)
    known = matrix.shape[0]
    if known is None or known > wanted:
        available = tf.shape(matrix, out_type=tf.int64)[0]
        drawn = tf.minimum(available, wanted)
        edges = tf.range(drawn + 1) * available // drawn
        width = tf.cast(edges[1:] - edges[:-1], tf.float64)
        golden = (math.sqrt(5) - 1) / 2
        place = tf.cast(tf.range(drawn), tf.float64) * golden + shift
        within = tf.floor(tf.math.floormod(place, 1.0) * width)
        matrix = tf.gather(matrix, edges[:-1] + tf.cast(within, edges.dtype))
    return tf.cast(matrix, tf.float64)


def unit_extremes(matrix):
    """Greatest value and greatest negated value of each unit, shape `(2, units)`.

    Values that are not finite are passed over; a unit with none left gets -inf.
    """
    finite = tf.math.is_finite(matrix)
    lowest = tf.constant(-math.inf, tf.float64)
    return tf.stack(
        [
            tf.reduce_max(tf.where(finite, matrix, lowest), axis=0),
            tf.reduce_max(tf.where(finite, -matrix, lowest), axis=0),
        ]
    )


def side_by_side(matrices):
    """Matrices of different sizes as the rows of one, padded with NaN."""
    flat = [tf.reshape(matrix, [-1]) for matrix in matrices]
    sizes = [tf.size(values) for values in flat]
    longest = sizes[0]
    for size in sizes[1:]:
        longest = tf.maximum(longest, size)
    return tf.stack(
        [
            tf.pad(values, [[0, longest - size]], constant_values=math.nan)
            for values, size in zip(flat, sizes, strict=True)
        ]
    )


def moments(values, thresholds):
    """Sums from which `LayerStats` follow, and which add up over samples.

    Args:
        values: float64 tensor of shape `(layers, n)`; what is not finite is
            passed over.
        thresholds: float64 tensor of shape `(layers, 2)`: at or below the first
            and at or above the second a value is saturated.

    Returns:
        float64 tensor of shape `(layers, 7)`, the columns named in `MOMENTS`.
    """
    finite = tf.math.is_finite(values)
    present = tf.cast(finite, tf.float64)
    held = tf.where(finite, values, tf.zeros_like(values))
    count = tf.reduce_sum(present, axis=1)
    total = tf.reduce_sum(held, axis=1)
    mean = tf.math.divide_no_nan(total, count)
    # Centred first: the difference of two large squares would lose all digits.
    squares = tf.where(finite, tf.square(held - mean[:, None]), tf.zeros_like(held))
    centred = tf.reduce_sum(squares, axis=1)

    def number(condition):
        return tf.reduce_sum(tf.cast(condition & finite, tf.float64), axis=1)

    return tf.stack(
        [
            count,
            total,
            centred,
            total * mean,
            number(values <= thresholds[:, :1]),
            number(values >= thresholds[:, 1:]),
            number(values == 0.0),
        ],
        axis=1,
    )


def histograms(values, ranges):
    """Counts in `BINS` bins of equal width; what lies outside goes to the end bins.

    Args:
        values: float64 tensor of shape `(layers, n)`; what is not finite is
            passed over.
        ranges: float64 tensor of shape `(layers, 2)`, finite and increasing.

    Returns:
        float64 tensor of shape `(layers, BINS)`.
    """
    layers = values.shape[0]
    finite = tf.math.is_finite(values)
    low, high = ranges[:, :1], ranges[:, 1:]
    place = (values - low) / (high - low)
    place = tf.where(tf.math.is_nan(place), tf.zeros_like(place), place)
    column = tf.clip_by_value(tf.floor(place * BINS), 0, BINS - 1)
    segment = tf.cast(column, tf.int32) + BINS * tf.range(layers)[:, None]
    counts = tf.math.unsorted_segment_sum(
        tf.cast(finite, tf.float64), segment, layers * BINS
    )
    return tf.reshape(counts, [layers, BINS])


def settle_ranges(ranges, values):
    """Gives layers without a histogram range (NaN) that of their first sample."""
    finite = tf.math.is_finite(values)
    infinity = tf.constant(math.inf, tf.float64)
    low = tf.reduce_min(tf.where(finite, values, infinity), axis=1)
    high = tf.reduce_max(tf.where(finite, values, -infinity), axis=1)
    seen = tf.stack([low, high], axis=1)
    # Constant outputs need a width too; nothing finite leaves the range open.
    width = tf.maximum(high - low, 1e-6 * tf.maximum(tf.abs(low), tf.abs(high)))
    seen = tf.stack([low, low + tf.maximum(width, LEAST_WIDTH)], axis=1)
    usable = tf.math.is_finite(seen[:, :1]) & tf.math.is_finite(seen[:, 1:])
    unset = tf.math.is_nan(ranges)
    return tf.where(unset & usable, seen, ranges)


def nonfinite_counts(tensors):
    """Exact numbers of NaN and of infinite entries, shape `(tensors, 2)`, float64."""

    def number(condition):
        return tf.cast(tf.math.count_nonzero(condition), tf.float64)

    return tf.stack(
        [
            tf.stack([number(tf.math.is_nan(x)), number(tf.math.is_inf(x))])
            for x in tensors
        ]
    )


def sentinel(tensor):
    """A float32 scalar that is not finite if any entry is not.

    It may also be so when finite entries overflow the sum: what trips it is counted.
    """
    return tf.cast(tf.reduce_sum(_at_least_float32(tensor)), tf.float32)


def sum_of_squares(values):
    """Squared L2 norm, a float32 scalar, and a sentinel as well."""
    # One pass over the values, where a square and a sum are two.
    return 2 * tf.cast(tf.nn.l2_loss(_at_least_float32(values)), tf.float32)


def _at_least_float32(tensor):
    return tf.cast(tensor, tf.float32) if tensor.dtype.size < 4 else tensor
