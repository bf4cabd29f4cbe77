"""Readings: the notes of a bank on the host, those of all replicas together."""

import dataclasses

import numpy as np

from keras_activations.telemetry.counting import MOMENTS
from keras_activations.telemetry.layouts import Layout


@dataclasses.dataclass(frozen=True)
class Reading:
    """The notes of a `Bank` at one moment, as float64 arrays.

    Attributes:
        layout: what was noted.
        ranges: histogram ranges, shape `(sampled layers, 2)`.
        weights: L2 norms of the weights after the last sample, shape `(weights,)`.
        units: see `WeightStats.unit`, shape `(weights,)`.
        flags: first bad step since the last reset (0 for none), updates dropped,
            samples taken.
        faults: shape `(2, sources, 2)`: NaN and infinite entries of every source,
            in all steps and in the first bad step alone.
        sums: shape `(sampled layers, 7 + BINS)`: `counting.MOMENTS`, then histogram.
        extremes: least and greatest value, shape `(sampled layers, 2)`.
        alive: above 0 for each unit that left its floor, layer after layer; of the
            layers that have `layouts.watched_units`.
        squares: greatest squared gradient norms, shape `(weights,)`, -inf where there
            was no gradient.
        updates: shape `(3, weights)`: squares of the sampled entries of the last
            sampled update and of the weight before it, and of these what their mean
            makes up, that is its square for each of them.
        batch: least and greatest value and the moments of `layouts.OF_THE_BATCH`,
            shape `(3, 9)`.
    """

    layout: Layout
    ranges: np.ndarray
    weights: np.ndarray
    units: np.ndarray
    flags: np.ndarray
    faults: np.ndarray
    sums: np.ndarray
    extremes: np.ndarray
    alive: np.ndarray
    squares: np.ndarray
    updates: np.ndarray
    batch: np.ndarray

    @property
    def samples(self):
        """Samples taken, an int."""
        return int(self.flags[2])

    @property
    def moments(self):
        """The moments of the sampled layers, shape `(sampled layers, 7)`."""
        return self.sums[:, : len(MOMENTS)]

    @property
    def histograms(self):
        """The histograms of the sampled layers, shape `(sampled layers, BINS)`."""
        return self.sums[:, len(MOMENTS) :]


def merged(readings):
    """The `Reading` of all replicas together.

    What was not noted since the last reset is left from before, and left out here.
    """
    readings = [_since_reset(reading) for reading in readings]
    if len(readings) == 1:
        return readings[0]
    flags = np.stack([reading.flags for reading in readings])
    bad = flags[:, 0][flags[:, 0] > 0]
    first_bad = bad.min() if len(bad) else 0.0
    # A replica that went bad later says nothing of the first bad step.
    first = [reading.faults[1] for reading in readings if reading.flags[0] == first_bad]
    all_steps = [reading.faults[0] for reading in readings]
    batch = np.stack([reading.batch for reading in readings])
    return dataclasses.replace(
        readings[0],
        flags=np.array([first_bad, *flags[:, 1:].max(axis=0)]),
        faults=np.stack([np.sum(all_steps, axis=0), np.sum(first, axis=0)]),
        sums=np.sum([reading.sums for reading in readings], axis=0),
        extremes=_widest(np.stack([reading.extremes for reading in readings])),
        alive=np.max([reading.alive for reading in readings], axis=0),
        squares=np.max([reading.squares for reading in readings], axis=0),
        # All have the same weights, those that took no sample none.
        weights=np.max([reading.weights for reading in readings], axis=0),
        batch=np.hstack([_widest(batch[..., :2]), batch[..., 2:].sum(axis=0)]),
        # All replicas make the same update: that of one is that of all.
    )


def _widest(extremes):
    low, high = extremes[..., 0].min(axis=0), extremes[..., 1].max(axis=0)
    return np.stack([low, high], axis=1)


def _since_reset(reading):
    first_bad, _, samples = reading.flags
    kept = {}
    if not first_bad:
        kept["faults"] = np.zeros_like(reading.faults)
    if not samples:
        kept["alive"] = np.zeros_like(reading.alive)
        kept["updates"] = np.zeros_like(reading.updates)
        kept["weights"] = np.zeros_like(reading.weights)
    return dataclasses.replace(reading, **kept) if kept else reading
