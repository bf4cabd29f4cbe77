"""Banks: the variables in which a traced step counts, and their reading.

A bank belongs to the monitor, never to the user's model or optimizer, so that
checkpoints and saved models stay the user's own.
"""

import concurrent.futures
import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_activations.telemetry import sampling
from keras_activations.telemetry.layouts import Layout

UPDATE_SAMPLE = 2**14
SHIFT = (
    0.7548776662466927  # 1 / plastic number: irrational, unrelated to the golden mean
)


class Bank:
    """The counters of one layout.

    Attributes:
        layout: what is counted.
        flags: float64 variable of shape `(3,)`: the first step since the last
            reset that was not finite (0 for none), updates dropped, samples taken.
    """

    def __init__(self, layout):
        self.layout = layout
        self._thresholds = _thresholds(layout.sampled)
        # A retracing `tf.function` refuses new variables, `init_scope` or not. What it
        # refuses by is kept for each thread, and a new one traces nothing.
        with concurrent.futures.ThreadPoolExecutor(1) as outside:
            outside.submit(self._make_variables).result()

    def _make_variables(self):
        layout, sampled = self.layout, self.layout.sampled
        self.flags = _variable(np.zeros(3))
        self._faults = _variable(np.zeros((2, len(layout.sources), 2)))
        self._moments = _variable(np.zeros((len(sampled), len(sampling.MOMENTS))))
        self._histograms = _variable(np.zeros((len(sampled), sampling.BINS)))
        self._ranges = _variable(_ranges(sampled))
        self._extremes = _variable(np.full((2, _units(sampled)), -math.inf))
        self._gradients = _variable(np.full(len(layout.weights), -math.inf))
        self._weights = _variable(np.zeros((len(layout.weights), 3)))

    # In the graph

    def add_gradients(self, squares):
        """Keeps the greatest gradient norms since the last reset, at every step."""
        norms = tf.cast(tf.sqrt(squares), tf.float64)
        norms = tf.where(tf.math.is_nan(norms), self._gradients, norms)
        self._gradients.assign(tf.maximum(self._gradients, norms))

    def add_faults(self, step, counts):
        """Adds exact counts of non-finite values; the first bad step's apart."""
        first = self.flags[0] == 0
        bad = tf.reduce_sum(counts) > 0
        self._faults.assign_add(
            tf.stack([counts, tf.where(first, counts, tf.zeros_like(counts))])
        )
        now = tf.where(first & bad, tf.cast(step, tf.float64), self.flags[0])
        self.flags.assign(tf.concat([[now], self.flags[1:]], axis=0))

    def add_dropped(self, dropped):
        """Counts an update that was not applied."""
        self.flags.assign_add([0.0, tf.cast(dropped, tf.float64), 0.0])

    def add_sample(self, step, outputs, weights, before):
        """Adds this step's distributions.

        Args:
            step: int64 scalar.
            outputs: for each sampled layer the list of its output tensors.
            weights: the variables of the layout, after the update.
            before: float64 vector, what `sample_weights` gave before the update.
        """
        shift = step_shift(step)
        if outputs:
            size = sampling.sample_size(len(outputs))
            matrices = [
                tf.concat(
                    [
                        sampling.rows(x, size // len(calls), shift, entry.units or 1)
                        for x in calls
                    ],
                    axis=0,
                )
                for entry, calls in zip(self.layout.sampled, outputs, strict=True)
            ]
            values = sampling.side_by_side(matrices)
            ranges = sampling.settle_ranges(self._ranges, values)
            self._ranges.assign(ranges)
            self._moments.assign_add(sampling.moments(values, self._thresholds))
            self._histograms.assign_add(sampling.histograms(values, ranges))
            extremes = [sampling.unit_extremes(matrix) for matrix in matrices]
            self._extremes.assign(
                tf.maximum(self._extremes, tf.concat(extremes, axis=1))
            )
        if weights:
            self._weights.assign_add(_weight_squares(weights, before, shift))
        self.flags.assign_add([0.0, 0.0, 1.0])

    # On the host

    def read(self):
        """All counters as NumPy arrays, a `Reading`."""
        return Reading(
            layout=self.layout,
            flags=self.flags.numpy(),
            faults=self._faults.numpy(),
            moments=self._moments.numpy(),
            histograms=self._histograms.numpy(),
            ranges=self._ranges.numpy(),
            extremes=self._extremes.numpy(),
            gradients=self._gradients.numpy(),
            weights=self._weights.numpy(),
        )

    def reset(self, window=True):
        """Sets the flags and fault counts to 0 and, with `window`, all the rest.

        Histogram ranges stay.
        """
        counters, peaks = [self.flags, self._faults], []
        if window:
            counters += [self._moments, self._histograms, self._weights]
            peaks = [self._extremes, self._gradients]
        for counter in counters:
            counter.assign(tf.zeros_like(counter))
        for peak in peaks:
            peak.assign(tf.fill(peak.shape, tf.constant(-math.inf, tf.float64)))

    def set_ranges(self, ranges):
        """Sets the histogram ranges of the sampled layers, shape `(layers, 2)`."""
        self._ranges.assign(ranges)


@dataclasses.dataclass(frozen=True)
class Reading:
    """The counters of a `Bank` at one moment, as float64 arrays.

    Attributes:
        layout: what was counted.
        flags: see `Bank.flags`.
        faults: shape `(2, sources, 2)`: NaN and infinite entries of every source,
            in all steps and in the first bad step alone.
        moments: shape `(sampled layers, 7)`, see `sampling.MOMENTS`.
        histograms: shape `(sampled layers, BINS)`.
        ranges: shape `(sampled layers, 2)`.
        extremes: shape `(2, units of all sampled layers)`: greatest value and
            greatest negated value of each unit, -inf where there was none.
        gradients: shape `(weights,)`: greatest norm, -inf where there was none.
        weights: shape `(weights, 3)`: summed squares of the weight, of the
            sampled update and of the sampled weight before it.
    """

    layout: Layout
    flags: np.ndarray
    faults: np.ndarray
    moments: np.ndarray
    histograms: np.ndarray
    ranges: np.ndarray
    extremes: np.ndarray
    gradients: np.ndarray
    weights: np.ndarray


def step_shift(step):
    """The place within the strata of `sampling.rows` at this step."""
    return tf.math.floormod(tf.cast(step, tf.float64) * SHIFT, 1.0)


def sample_weights(variables, shift):
    """Entries spread over each variable, as one float64 vector."""
    return tf.concat(
        [tf.reshape(_sampled_weight(variable, shift), [-1]) for variable in variables],
        axis=0,
    )


def _sampled_weight(variable, shift):
    return sampling.rows(tf.convert_to_tensor(variable.value), UPDATE_SAMPLE, shift)


def _weight_squares(variables, before, shift):
    after = [tf.reshape(_sampled_weight(v, shift), [-1]) for v in variables]
    before = tf.split(before, [tf.size(sample) for sample in after])
    squares = []
    for variable, old, new in zip(variables, before, after, strict=True):
        value = tf.cast(variable.value, tf.float64)
        squares.append([_square(value), _square(new - old), _square(old)])
    return tf.stack([tf.stack(row) for row in squares])


def _square(values):
    return tf.reduce_sum(tf.square(values))


def _variable(value):
    return tf.Variable(value, dtype=tf.float64, trainable=False)


def _units(entries):
    return sum(entry.units or 1 for entry in entries)


def _ranges(entries):
    ranges = np.full((len(entries), 2), math.nan)
    for row, entry in zip(ranges, entries, strict=True):
        if entry.region is not None and entry.region.histogram is not None:
            row[:] = entry.region.histogram
    return ranges


def _thresholds(entries):
    thresholds = np.full((len(entries), 2), math.nan)
    for row, entry in zip(thresholds, entries, strict=True):
        if entry.region is not None:
            if entry.region.saturated_below is not None:
                row[0] = entry.region.saturated_below
            if entry.region.saturated_above is not None:
                row[1] = entry.region.saturated_above
    return thresholds
