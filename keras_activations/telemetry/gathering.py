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


class Gatherer:
    """Reads one bank.

    Args:
        bank: a `Bank` with its variables.
    """

    def __init__(self, bank):
        self._bank = bank
        self._thresholds = _with_batch(_thresholds(bank.layout.sampled))
        sizes = bank.weight_sizes
        # Which variable each of the sampled entries is of, and where its own begin.
        self._parts = np.repeat(np.arange(len(sizes)), sizes)
        self._starts = np.cumsum([0, *sizes])[:-1]
        self._shapes = _shapes(bank)
        self._in_graph = tf.function(self._from_graph, autograph=False)

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
            notes = self._from_host(ranges)
        else:
            notes = [np.asarray(of) for of in self._in_graph(tf.constant(ranges))]
        units = np.array([_unit(v, bank.units_of(v)) for v in bank.variables])
        return merged(
            [
                Reading(bank.layout, bank.ranges, units=units, **self._taken_apart(of))
                for of in bank.replicas.everywhere(notes)
            ]
        )

    def _held(self):
        """What each replica of this process holds, as tensors."""
        bank = self._bank
        names = "flags", "faults", "alive", "squares", "sizes", "updates", "samples"
        return zip(
            *(bank.replicas.tensors(getattr(bank, name)) for name in names), strict=True
        )

    def _from_host(self, ranges):
        """One vector for each replica of this process."""
        bank = self._bank
        notes = []
        for tensors in self._held():
            # A tensor on the CPU shares its memory with the array.
            flags, *plain, updates, samples = map(np.asarray, tensors)
            flags = np.minimum(flags, [math.inf, math.inf, bank.slots])
            summary = counting_on_host.sample_summary(
                samples, int(flags[2]), self._thresholds, ranges
            )
            parts = flags, *plain, self._sums_by_weight(updates), summary
            notes.append(np.concatenate([part.ravel() for part in parts]))
        return notes

    def _sums_by_weight(self, updates):
        rows = np.concatenate([np.square(updates), updates[1:]])
        if not len(self._starts):
            return rows
        return np.add.reduceat(rows, self._starts, axis=1)

    def _from_graph(self, ranges):
        """The same as tensors."""
        bank = self._bank
        notes = []
        for flags, *plain, updates, samples in self._held():
            flags = tf.minimum(flags, [math.inf, math.inf, bank.slots])
            number = tf.cast(flags[2], tf.int32)
            summary = counting.sample_summary(samples, number, self._thresholds, ranges)
            rows = tf.concat([tf.square(updates), updates[1:]], axis=0)
            columns = tf.transpose(rows)
            updated = tf.math.unsorted_segment_sum(
                columns, self._parts, len(bank.weight_sizes)
            )
            parts = flags, *plain, tf.transpose(updated), summary
            notes.append(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        return notes

    def _taken_apart(self, vector):
        """The arrays of a `Reading`, by name."""
        layers = len(self._bank.ranges)
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values()])
        arrays = {
            name: part.reshape(shape)
            for (name, shape), part in zip(
                self._shapes.items(), np.split(vector, ends[:-1]), strict=True
            )
        }
        arrays["weights"] = np.sqrt(arrays.pop("sizes"))
        summary = arrays.pop("summary")
        *squares, sums = arrays["updates"]
        even = np.square(sums) / np.maximum(self._bank.weight_sizes, 1)
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


def _shapes(bank):
    """The shapes of what is read of a bank, in order."""
    layers, weights = len(bank.layout.sampled), len(bank.variables)
    return {
        "flags": (3,),
        "faults": tuple(bank.faults.shape),
        "alive": tuple(bank.alive.shape),
        "squares": (weights,),
        "sizes": (weights,),
        "updates": (3, weights),
        "summary": (layers + len(OF_THE_BATCH), counting.COLUMNS),
    }


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
