"""Watches every step for NaN and Inf: a cheap sentinel, and exact counts if it trips."""

import functools
import math

import tensorflow as tf

from keras_activations.telemetry.implied import implied
from keras_activations.telemetry.sampling import at_least_float32, called_whole
from keras_activations.telemetry.taps import sublayers

# Gradients below this size are often summed and applied in one fused loop under XLA.
# A second reader would split that loop and round differently (seen with the scale of
# batch normalisation); one reader, from whose result all else follows, does not. Larger
# ones come out of a matrix product or a convolution, never fused with the update.
SMALL = 2**14
_MANY = 2**32  # no tensor has so many entries


def watched_values(gradient, xla):
    """What is looked at in place of a gradient: its entries, or their magnitudes.

    Args:
        gradient: tensor or `tf.IndexedSlices`.
        xla: bool, the step may be compiled by XLA.
    """
    values = values_of(gradient)
    small = (values.shape.num_elements() or SMALL) < SMALL
    return tf.abs(values) if xla and small else values


def values_of(gradient):
    """The entries of a gradient, be it dense or `tf.IndexedSlices`."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def healthy(record):
    """Is everything finite that this step computed? A boolean scalar.

    It may also be False when finite values overflow a sum: `counts` are exact.
    """
    loss = [] if record.loss is None else [record.loss]
    spared = implied(record) | record.fused
    outputs = [x for _, x in record.outputs if id(x) not in spared]
    # One sentinel a tensor: a layer may hand on another's very output.
    forward = {id(x): x for x in [*outputs, *loss]}
    sentinels = [sentinel(x) for x in forward.values()] + record.squares
    if not sentinels:
        return tf.constant(True)
    # Sums of what is not finite are not finite either, whatever the signs.
    return tf.math.is_finite(tf.add_n(sentinels))


def counts(record, layers):
    """Exact numbers of NaN and infinite entries in the order of `Layout.sources`.

    Args:
        record: the `StepRecord` of the step.
        layers: list of `(layer, output tensors)`, in execution order.

    Returns:
        float64 tensor of shape `(sources, 2)`.
    """
    loss = [] if record.loss is None else [record.loss]
    sources = [
        *([record.read(x) for x in calls] for _, calls in layers),
        loss,
        *([values] for _, values in record.gradients),
        [x for tensors in record.batch for x in tensors],
    ]
    return tf.stack([_source_counts(tensors) for tensors in sources])


def _source_counts(tensors):
    if not tensors:
        return tf.zeros([2], tf.float64)
    return tf.add_n([nonfinite_count(x) for x in tensors])


def only_masked(record, layers, counts):
    """Is all that is not finite -inf, from layers that have no weights of their own?

    So attention scores are masked. What is wrong would reach the loss, a gradient or what
    the model puts out.

    Args:
        record, layers: as in `counts`.
        counts: what that gave.

    Returns:
        boolean scalar.
    """
    may = [
        _below_infinity([record.read(x) for x in calls])
        if _owns_nothing(layer) and not any(map(record.is_model_output, calls))
        else False
        for layer, calls in layers
    ]
    may = tf.stack([*may, *[False] * (counts.shape[0] - len(may))])
    nan, inf = tf.unstack(counts > 0, axis=1)
    return tf.reduce_all(~nan & (may | ~inf))


def _owns_nothing(layer):
    inner = sum(len(sublayer.weights) for sublayer in sublayers(layer))
    return len(layer.weights) == inner


def _below_infinity(tensors):
    return tf.reduce_all([_highest(x.dtype)(x) < math.inf for x in tensors])


@functools.cache
def _highest(dtype):
    return called_whole(
        lambda tensor: tf.cast(tf.reduce_max(tensor), tf.float32),
        [tf.TensorSpec(None, dtype)],
    )


def nonfinite_count(tensor):
    """Exact numbers of NaN and of infinite entries, shape `(2,)`, float64."""
    return _counter(tensor.dtype)(tensor)


@functools.cache
def _counter(dtype):
    def count(tensor):
        # Both numbers in one pass: XLA compiles every pass for itself.
        one, many, none = (tf.constant(n, tf.int64) for n in (1, _MANY, 0))
        kinds = tf.where(tf.math.is_inf(tensor), many, none)
        kinds = tf.where(tf.math.is_nan(tensor), one, kinds)
        number = tf.reduce_sum(kinds)
        return tf.cast(tf.stack([number % _MANY, number // _MANY]), tf.float64)

    return called_whole(count, [tf.TensorSpec(None, dtype)])


def sentinel(tensor):
    """A float32 scalar that is not finite if any entry is not.

    It may also be so when finite entries overflow the sum: what trips it is counted.
    """
    return tf.cast(tf.reduce_sum(at_least_float32(tensor)), tf.float32)


def sums_of_squares(tensors):
    """Squared L2 norm of each, float32 scalars, and sentinels as well."""
    if not tensors:
        return []
    # One pass over the values, where a square and a sum are two.
    halves = [tf.nn.l2_loss(at_least_float32(x)) for x in tensors]
    return tf.unstack(2 * tf.stack([tf.cast(half, tf.float32) for half in halves]))
