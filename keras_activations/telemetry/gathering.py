"""Gathering: what lies in a bank is worked out and read in one call.

To read a dozen variables and weights one by one takes longer than to sum up what lies
in them.
"""

import math

import numpy as np
import tensorflow as tf

from keras_activations.telemetry import counting
from keras_activations.telemetry.layouts import OF_THE_BATCH
from keras_activations.telemetry.ranges import settled
from keras_activations.telemetry.reading import Reading, merged
from keras_activations.telemetry.sampling import at_least_float32


class Gatherer:
    """Reads one bank.

    Args:
        bank: a `Bank` with its variables.
    """

    def __init__(self, bank):
        self._bank = bank
        self._thresholds = _with_batch(_thresholds(bank.layout.sampled))
        self._gathered = 0
        self._traced = tf.function(self._gather, autograph=False)

    def read(self):
        """What was noted since the last reset, of all replicas together.

        Returns:
            `Reading`.
        """
        bank = self._bank
        if np.isnan(bank.ranges).any():
            bank.ranges = self._settled_ranges()
        self._gathered += 1
        early = self._gathered <= counting.UNTRACED
        gather = self._gather if early else self._traced
        notes, squares = gather(tf.constant(_with_batch(bank.ranges)))
        weights = np.sqrt(squares.numpy())
        return merged(
            [
                Reading(bank.layout, bank.ranges, weights, **self._taken_apart(vector))
                for vector in bank.replicas.everywhere([of.numpy() for of in notes])
            ]
        )

    def _gather(self, ranges):
        """One vector for each replica of this process, and squares of weight norms."""
        bank = self._bank
        held = bank.faults, bank.alive, bank.squares, bank.updates, bank.samples
        notes = []
        for flags, faults, alive, squares, updates, samples in zip(
            *map(bank.replicas.tensors, (bank.flags, *held)), strict=True
        ):
            # Of more samples than there are slots the last ones are kept.
            flags = tf.minimum(flags, [math.inf, math.inf, bank.slots])
            parts = (
                flags,
                faults,
                alive,
                squares,
                _sums_of_parts(tf.square(updates), bank.weight_sizes),
                counting.sample_summary(
                    samples, tf.cast(flags[2], tf.int32), self._thresholds, ranges
                ),
            )
            notes.append(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        return notes, tf.stack([_square(v.value) for v in bank.variables] or _NOTHING)

    def _taken_apart(self, vector):
        """The arrays of a `Reading`, by name."""
        bank = self._bank
        layers, weights = len(bank.ranges), len(bank.variables)
        shapes = {
            "flags": (3,),
            "faults": tuple(bank.faults.shape),
            "alive": tuple(bank.alive.shape),
            "squares": (weights,),
            "updates": (2, weights),
            "summary": (layers + len(OF_THE_BATCH), counting.COLUMNS),
        }
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
        arrays = {
            name: part.reshape(shape)
            for (name, shape), part in zip(
                shapes.items(), np.split(vector, ends[:-1]), strict=True
            )
        }
        summary = arrays.pop("summary")
        return arrays | {
            "sums": summary[:layers, 2:],
            "extremes": summary[:layers, :2],
            "batch": summary[layers:, : 2 + len(counting.MOMENTS)],
        }

    def _settled_ranges(self):
        # All replicas must count in the same bins.
        bank = self._bank
        local, everywhere = bank.replicas.local, bank.replicas.everywhere
        samples = zip(
            bank.replicas.tensors(bank.samples), local(bank.flags), strict=True
        )
        extremes = [
            counting.sample_extremes(of, min(int(flags[2]), bank.slots)).numpy()
            for of, flags in samples
        ]
        seen = np.stack(everywhere(extremes))
        return settled(bank.ranges, seen[:, : len(bank.ranges)])


_NOTHING = np.zeros(0)


def _square(value):
    # One call into TensorFlow for each weight.
    entries = at_least_float32(tf.convert_to_tensor(value))
    return 2 * tf.cast(tf.raw_ops.L2Loss(t=entries), tf.float64)


def _sums_of_parts(rows, sizes):
    """Of each row the sums over parts of these sizes, shape `(rows, parts)`."""
    parts = tf.constant(np.repeat(np.arange(len(sizes)), sizes), tf.int32)
    return tf.transpose(tf.math.segment_sum(tf.transpose(rows), parts))


def _with_batch(rows):
    # Of the batch there are no histograms and no thresholds.
    return np.vstack([rows, np.full((len(OF_THE_BATCH), 2), math.nan)])


def _thresholds(entries):
    thresholds = np.full((len(entries), 2), math.nan)
    for row, entry in zip(thresholds, entries, strict=True):
        if entry.region is not None:
            if entry.region.saturated_below is not None:
                row[0] = entry.region.saturated_below
            if entry.region.saturated_above is not None:
                row[1] = entry.region.saturated_above
    return thresholds
