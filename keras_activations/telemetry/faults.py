"""Watches every step for NaN and Inf: a cheap sentinel, and exact counts if it trips."""

import tensorflow as tf

from keras_activations.telemetry import sampling

# Gradients below this size are often summed and applied in one fused loop under XLA.
# A second reader would split that loop and round differently (seen with the scale of
# batch normalisation); one reader, from whose result all else follows, does not. Larger
# ones come out of a matrix product or a convolution, never fused with the update.
SMALL = 2**14


def watched_values(gradient, fused):
    """What is looked at in place of a gradient: its entries, or their magnitudes.

    Args:
        gradient: tensor or `tf.IndexedSlices`.
        fused: bool, the step may be compiled by XLA.
    """
    sparse = isinstance(gradient, tf.IndexedSlices)
    values = gradient.values if sparse else gradient
    small = (values.shape.num_elements() or SMALL) < SMALL
    return tf.abs(values) if fused and small else values


def watch(record, bank, layers):
    """Counts what is not finite in this step, if anything is.

    Args:
        record: the `StepRecord` of the step.
        bank: the `Bank` to count in.
        layers: list of `(layer, output tensors)`, in execution order.
    """
    outputs = [calls for _, calls in layers]
    loss = [] if record.loss is None else [tf.convert_to_tensor(record.loss)]
    # The order of `Layout.sources`.
    sources = [
        *outputs,
        loss,
        *([values] for _, values in record.gradients),
        record.inputs,
    ]
    # One sentinel a tensor: a layer may hand on another's very output.
    forward = {id(x): x for x in [*(x for calls in outputs for x in calls), *loss]}
    sentinels = [sampling.sentinel(x) for x in forward.values()] + record.squares
    if not sentinels:
        return

    def count():
        bank.add_faults(
            record.step, tf.stack([_counts(tensors) for tensors in sources])
        )
        return tf.constant(True)

    healthy = tf.reduce_all(tf.math.is_finite(tf.stack(sentinels)))
    tf.cond(healthy, lambda: tf.constant(False), count)


def _counts(tensors):
    if not tensors:
        return tf.zeros([2], tf.float64)
    return tf.reduce_sum(sampling.nonfinite_counts(tensors), axis=0)
