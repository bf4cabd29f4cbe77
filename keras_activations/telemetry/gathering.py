"""Gathering: what lies in a bank is summed up where it lies, and read.

On a CPU that is the host's own memory. From any other device the sums alone are read,
in one call: to read a dozen variables one by one would take longer than to sum them up.
"""

import math

import numpy as np
import tensorflow as tf

from keras_activations.telemetry import counting, counting_on_host
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
        # Which variable each of the sampled entries is of.
        sizes = bank.weight_sizes
        self._parts = np.repeat(np.arange(len(sizes)), sizes)
        self._in_graph = tf.function(self._from_graph, autograph=False)
        # Called one by one, the weights took half of the time of a reading.
        self._all_in_graph = tf.function(
            lambda: (list(self._held()), self._squares()), autograph=False
        )

    def read(self):
        """What was noted since the last reset, of all replicas together.

        Returns:
            `Reading`.
        """
        bank = self._bank
        on_host = on_cpu(bank.replicas.tensors(bank.samples))
        if np.isnan(bank.ranges).any():
            bank.ranges = self._settled_ranges(on_host)
        ranges = _with_batch(bank.ranges)
        if on_host:
            notes, squares = self._from_host(ranges)
        else:
            found = self._in_graph(tf.constant(ranges))
            notes, squares = tf.nest.map_structure(np.asarray, found)
        units = np.array([_unit(v, bank.units_of(v)) for v in bank.variables])
        of_weights = np.sqrt(squares), units
        return merged(
            [
                Reading(bank.layout, bank.ranges, *of_weights, **self._taken_apart(of))
                for of in bank.replicas.everywhere(notes)
            ]
        )

    def _held(self):
        """What each replica of this process holds, as tensors."""
        bank = self._bank
        names = "flags", "faults", "alive", "squares", "updates", "samples"
        return zip(
            *(bank.replicas.tensors(getattr(bank, name)) for name in names), strict=True
        )

    def _from_host(self, ranges):
        """One vector for each replica of this process, and squares of weight norms."""
        bank = self._bank
        notes = []
        held, squared_norms = self._all_in_graph()
        for tensors in held:
            # A tensor on the CPU shares its memory with the array.
            flags, faults, alive, squares, updates, samples = map(np.asarray, tensors)
            flags = np.minimum(flags, [math.inf, math.inf, bank.slots])
            summary = counting_on_host.sample_summary(
                samples, int(flags[2]), self._thresholds, ranges
            )
            updated = [
                np.bincount(self._parts, row, len(bank.weight_sizes))
                for row in (*np.square(updates), updates[1])
            ]
            parts = flags, faults, alive, squares, *updated, summary
            notes.append(np.concatenate([part.ravel() for part in parts]))
        return notes, np.asarray(squared_norms)

    def _from_graph(self, ranges):
        """The same as tensors."""
        bank = self._bank
        notes = []
        for flags, faults, alive, squares, updates, samples in self._held():
            flags = tf.minimum(flags, [math.inf, math.inf, bank.slots])
            number = tf.cast(flags[2], tf.int32)
            summary = counting.sample_summary(samples, number, self._thresholds, ranges)
            rows = tf.concat([tf.square(updates), updates[1:]], axis=0)
            columns = tf.transpose(rows)
            updated = tf.math.unsorted_segment_sum(
                columns, self._parts, len(bank.weight_sizes)
            )
            parts = flags, faults, alive, squares, tf.transpose(updated), summary
            notes.append(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        return notes, self._squares()

    def _squares(self):
        """Squared norms of the weights, a tensor."""
        values = [tf.convert_to_tensor(v.value) for v in self._bank.variables]
        halves = [tf.nn.l2_loss(at_least_float32(value)) for value in values]
        return 2 * tf.stack(
            [tf.cast(half, tf.float64) for half in halves] or np.zeros(0)
        )

    def _taken_apart(self, vector):
        """The arrays of a `Reading`, by name."""
        bank = self._bank
        layers, weights = len(bank.ranges), len(bank.variables)
        shapes = {
            "flags": (3,),
            "faults": tuple(bank.faults.shape),
            "alive": tuple(bank.alive.shape),
            "squares": (weights,),
            "updates": (3, weights),
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
        *squares, sums = arrays["updates"]
        even = np.square(sums) / np.maximum(bank.weight_sizes, 1)
        arrays["updates"] = np.stack([*squares, even])
        return arrays | {
            "sums": summary[:layers, 2:],
            "extremes": summary[:layers, :2],
            "batch": summary[layers:, : 2 + len(counting.MOMENTS)],
        }

    def _settled_ranges(self, on_host):
        # All replicas must count in the same bins.
        bank = self._bank
        extremes = []
        for flags, *_, samples in self._held():
            number = min(int(flags[2]), bank.slots)
            if on_host:
                of = np.asarray(samples)
                extremes.append(counting_on_host.sample_extremes(of, number))
            else:
                extremes.append(counting.sample_extremes(samples, number).numpy())
        seen = np.stack(bank.replicas.everywhere(extremes))
        return settled(bank.ranges, seen[:, : len(bank.ranges)])


def on_cpu(tensors):
    """Whether all these tensors lie in the host's memory."""
    devices = [tf.DeviceSpec.from_string(tensor.device) for tensor in tensors]
    return all(device.device_type == "CPU" for device in devices)


def _unit(variable, units):
    if units is None:
        return 1.0
    value = np.asarray(variable.value, np.float64)
    size = np.linalg.norm(value)
    return np.linalg.norm(value * units) / size if size > 0 else 1.0


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
