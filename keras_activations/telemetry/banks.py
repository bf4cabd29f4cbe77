"""Banks: the variables in which a traced step notes what it saw.

A bank belongs to the monitor, never to the user's model or optimizer, so that
checkpoints and saved models stay the user's own.
"""

import concurrent.futures
import math

import numpy as np
import tensorflow as tf

from keras_activations.telemetry import sampling
from keras_activations.telemetry.gathering import Gatherer
from keras_activations.telemetry.layouts import OF_THE_BATCH, watched_units
from keras_activations.telemetry.replicas import Replicas


class Bank:
    """The notes of one layout.

    What is noted of samples and faults is written over, not added to, by the first
    one after a `reset`: so a reset costs next to nothing.

    Args:
        layout: what is noted.
        variables: the `keras.Variable`s of `layout.weights`.
        weight_entries: entries of each looked at in an update. Defaults to 2048.
        every: training steps between two samples. Defaults to 1.
        slots: samples kept until they are read. Defaults to 1.
        dtype: in which samples are kept. Defaults to "float32".
        replicas: the `Replicas` of the step. Defaults to those of the current strategy.
        units_of: callable `variable -> array`, see `sampling.sampled_weights`.
            Defaults to None for all.

    Attributes:
        flags: first bad step since the last reset (0 for none), updates dropped,
            samples taken.
        faults, alive, squares: see `Reading`.
        samples: what was drawn, shape `(slots, sampled layers + 3, values)`: of the
            layers, then of `layouts.OF_THE_BATCH`.
        updates: sampled entries of the last sampled update and of the weights before
            it, shape `(2, entries)`.
        sizes: squared L2 norms of the weights after it, shape `(weights,)`.
        ranges: histogram ranges, shape `(sampled layers, 2)`.
    """

    def __init__(
        self,
        layout,
        variables=(),
        weight_entries=2**11,
        every=1,
        slots=1,
        dtype="float32",
        replicas=None,
        units_of=lambda variable: None,
    ):
        self.layout = layout
        self.ranges = _known_ranges(layout.sampled)
        self.variables = list(variables)
        self.units_of = units_of
        self._weight_entries = weight_entries
        self.weight_sizes = sampling.sampled_weight_sizes(variables, weight_entries)
        self._every = every
        self.slots = slots
        self._dtype = dtype
        self.replicas = replicas or Replicas(tf.distribute.get_strategy())
        # A retracing `tf.function` refuses new variables, `init_scope` or not. What it
        # refuses by is kept for each thread, and a new one traces nothing.
        with concurrent.futures.ThreadPoolExecutor(1) as outside:
            outside.submit(self._make_variables).result()
        self._gatherer = Gatherer(self)

    def _make_variables(self):
        sampled, sources = self.layout.sampled, self.layout.sources
        variable = self.replicas.variable
        self.flags = variable(np.zeros(3))
        self._all_flags = variable(np.zeros((self.replicas.number, 3)))
        self.faults = variable(np.zeros((2, len(sources), 2)))
        shape = (self.slots, len(sampled) + len(OF_THE_BATCH), self._values)
        self.samples = variable(np.zeros(shape), self._dtype)
        self.alive = variable(np.zeros(sum(map(watched_units, sampled))))
        self.squares = variable(np.full(len(self.variables), -math.inf))
        self.updates = variable(np.zeros((2, sum(self.weight_sizes))))
        self.sizes = variable(np.zeros(len(self.variables)))
        # To hand over an array takes twice as long as all the rest of an assignment.
        self._no_flags = tf.zeros_like(self.replicas.tensors(self.flags)[0])
        self._no_squares = tf.identity(self.replicas.tensors(self.squares)[0])

    @property
    def _values(self):
        return sampling.values_wanted(len(self.layout.sampled), self._every)

    # In the graph

    def add_gradients(self, squares):
        """Keeps the greatest squared gradient norms since the last reset."""
        squares, greatest = tf.cast(squares, tf.float64), self.squares.read_value()
        # NaN is greater than nothing.
        self.squares.assign(tf.where(squares > greatest, squares, greatest))

    def add_faults(self, step, counts, meant=False):
        """Adds exact counts of non-finite values; the first bad step's apart.

        Args:
            step: number of the step.
            counts: see `Reading.faults`.
            meant: boolean, they say nothing bad of the step. Defaults to False.
        """
        first_bad, dropped, samples = tf.unstack(self.flags.read_value())
        fresh = tf.equal(first_bad, 0)
        earlier = self.faults.read_value()
        added = tf.stack([earlier[0] + counts, earlier[1]])
        self.faults.assign(tf.where(fresh, tf.stack([counts, counts]), added))
        bad = fresh & (tf.reduce_sum(counts) > 0) & tf.logical_not(meant)
        first_bad = tf.where(bad, tf.cast(step, tf.float64), first_bad)
        self.flags.assign(tf.stack([first_bad, dropped, samples]))

    def add_dropped(self, dropped):
        """Counts an update that was not applied."""
        self.flags.assign_add([0.0, tf.cast(dropped, tf.float64), 0.0])

    def add_sample(self, step, outputs, weights_before, batch=((), (), ())):
        """Notes this step's distributions.

        Args:
            step: int64 scalar.
            outputs: for each sampled layer the list of its `(output, mask)`.
            weights_before: `sampling.sampled_weights` before the update, or None.
            batch: for each of `OF_THE_BATCH` a list of tensors.
        """
        shift = sampling.step_shift(step)
        number = self.flags.read_value()[2]
        rows = [*outputs, *([(x, None) for x in tensors] for tensors in batch)]
        self._keep(number, [self._values_of(calls, shift) for calls in rows])
        alive = self._alive_units(outputs, shift)
        if alive:
            now = tf.cast(tf.concat(alive, axis=0), tf.float64)
            more = tf.maximum(now, self.alive.read_value())
            self.alive.assign(tf.where(tf.equal(number, 0), now, more))
        if weights_before is not None:
            after = sampling.sampled_weights(
                self.variables, self._weight_entries, self.units_of
            )
            self.updates.assign(tf.stack([after - weights_before, weights_before]))
        if self.variables:
            self.sizes.assign(self._squared_sizes())
        self.flags.assign_add([0.0, 0.0, 1.0])

    def _keep(self, number, values):
        sample = tf.stack(values)[None]
        if self.slots > 1:
            slot = tf.cast(number, tf.int32) % self.slots
            here = tf.equal(tf.range(self.slots), slot)[:, None, None]
            sample = tf.where(here, sample, self.samples.read_value())
        self.samples.assign(sample)

    def _values_of(self, calls, shift):
        share = self._values // max(len(calls), 1)
        drawn = [sampling.values(x, m, shift, share, self._dtype) for x, m in calls]
        spare = self._values - share * len(calls)
        if spare:
            drawn.append(tf.fill([spare], tf.constant(math.nan, self._dtype)))
        return drawn[0] if len(drawn) == 1 else tf.concat(drawn, axis=0)

    def _alive_units(self, outputs, shift):
        limit = sampling.unit_values_wanted(self._every)
        alive = []
        for entry, calls in zip(self.layout.sampled, outputs, strict=True):
            if watched_units(entry):
                floor, share = entry.region.floor, limit // len(calls)
                left = [
                    sampling.alive_units(x, mask, shift, entry.units, floor, share)
                    for x, mask in calls
                ]
                alive.append(tf.reduce_any(tf.stack(left), axis=0))
        return alive

    def _squared_sizes(self):
        values = [tf.convert_to_tensor(v.value) for v in self.variables]
        halves = [tf.nn.l2_loss(sampling.at_least_float32(value)) for value in values]
        return 2 * tf.stack([tf.cast(half, tf.float64) for half in halves])

    def share_flags(self):
        """Tells all workers each other's flags; not inside a condition."""
        rows = self.replicas.own_row(self.flags.read_value())
        self._all_flags.assign(self.replicas.summed(rows))

    # On the host

    @property
    def noted(self):
        """Whether anything was noted since the last reset, by any replica."""
        shared = self.replicas.several_workers
        flags = self.replicas.local(self._all_flags if shared else self.flags)
        return any(replica.any() for replica in flags)

    def read(self):
        """What was noted since the last reset, of all replicas together.

        Returns:
            `Reading`.
        """
        return self._gatherer.read()

    def reset(self, window=True):
        """Begins anew: flags, faults and samples and, with `window`, all the rest."""
        self.replicas.assign(self.flags, self._no_flags)
        if window:
            self.replicas.assign(self.squares, self._no_squares)


def _known_ranges(entries):
    ranges = np.full((len(entries), 2), math.nan)
    for row, entry in zip(ranges, entries, strict=True):
        if entry.region is not None and entry.region.histogram is not None:
            row[:] = entry.region.histogram
    return ranges
