"""Updates: what an optimizer is about to do, noted before it does it."""

import keras
import tensorflow as tf

from keras_activations.telemetry import faults, optimizers, sampling
from keras_activations.telemetry.fusion import apart


class Updates:
    """Watches the updates of one model, which a guard may hold back.

    Args:
        model: a `keras.Model`.
        replicas: the `Replicas` that it trains on.
        guard: see `Probe`.
    """

    def __init__(self, model, replicas, guard):
        self._model = model
        self._replicas = replicas
        self._guard = guard

    @property
    def weight_entries(self):
        """Entries of each weight looked at before and after an update."""
        return sampling.weight_entries(len(self._model.trainable_variables))

    def seen(self, record, optimizer, apply, gradients, variables):
        """Notes an update in the record and has it made, or held back.

        Args:
            record: the `StepRecord` of the step.
            optimizer: what makes the update.
            apply: callable `(gradients, variables)`, the optimizer's own.
            gradients: list of tensors, `tf.IndexedSlices` or None.
            variables: the variables they belong to.

        Returns:
            what `apply` does.
        """
        given = [
            (v, g) for v, g in zip(variables, gradients, strict=True) if g is not None
        ]
        if given:
            self._note_weights(record, optimizer, [v for v, _ in given])
        scale = optimizers.loss_scale(optimizer)
        if scale is not None:  # as it is before the update
            scale = tf.cast(scale, tf.float32)
        if self._guard is None:
            # Only after the update it is known what else reads a gradient.
            result = apply(gradients, variables)
            self._note_gradients(record, given, scale)
            return result
        self._note_gradients(record, given, scale)
        measure(record)
        return self._guarded(record, optimizer, apply, gradients, variables)

    def _note_gradients(self, record, given, scale):
        # The gradient is the sum of those of all replicas.
        summed = self._replicas.summed([g for _, g in given]) if given else []
        values = [faults.watched_values(g, record.xla) for g in summed]
        if (
            not record.xla and self._replicas.number == 1
        ):  # sums over replicas stand alone
            values = apart(values)
        record.gradients += [(v, x) for (v, _), x in zip(given, values, strict=True)]
        record.scales += [scale] * len(values)

    def _note_weights(self, record, optimizer, variables):
        # Only in steps that are sampled; XLA wants both branches of one shape. Zeros
        # say that there was no update to look at.
        entries = self.weight_entries
        units_of = None if self._guard is None else self._guard.units_of
        size = sum(sampling.sampled_weight_sizes(variables, entries))
        record.weights_before.append(
            tf.cond(
                record.sampling & optimizers.updates_now(optimizer),
                sampling.in_one_call(
                    lambda: sampling.sampled_weights(variables, entries, units_of)
                ),
                lambda: tf.zeros([size], tf.float64),
            )
        )

    def _guarded(self, record, optimizer, apply, gradients, variables):
        if not optimizer.built:  # not inside the condition that may skip it
            with keras.name_scope(optimizer.name, caller=optimizer):
                optimizer.build(variables)
        given = sum(g is not None for g in gradients)
        norms = record.norms[-given:]
        dropped, learnt = self._guard.apply(
            optimizer, apply, gradients, variables, norms, record.loss
        )
        if self._guard.learns_otherwise:  # rules are to judge what is learnt
            record.norms[-given:] = learnt
        record.dropped.append(dropped)
        record.update_norms.append(tf.add_n(learnt))
        return optimizer.iterations


def measure(record):
    """Notes the norms of those gradients in a record that have none yet."""
    done = len(record.squares)
    squares = faults.sums_of_squares([x for _, x in record.gradients[done:]])
    record.squares += squares
    record.norms += [
        square if scale is None else square / tf.square(scale)
        for square, scale in zip(squares, record.scales[done:], strict=True)
    ]


def verdict(record):
    """Of a step: was there an update, was it to be dropped, its gradients' norm."""
    if not record.dropped:
        return tf.zeros([3], tf.float64)
    dropped = tf.cast(tf.reduce_any(tf.stack(record.dropped)), tf.float64)
    norm = tf.cast(tf.sqrt(tf.add_n(record.update_norms)), tf.float64)
    return tf.stack([tf.ones([], tf.float64), dropped, norm])
