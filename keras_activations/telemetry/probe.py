"""The probe: a training step that counts while it trains.

It joins the taps (what a step computed) with the banks (where it is counted). The
step itself is the user's; what is added to it reads, and writes only to banks.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from keras_activations.telemetry import faults, sampling
from keras_activations.telemetry.banks import (
    UPDATE_SAMPLE,
    Bank,
    sample_weights,
    step_shift,
)
from keras_activations.telemetry.layouts import layout_of
from keras_activations.telemetry.taps import (
    StepRecord,
    Taps,
    current_graph,
    floating_tensors,
)


class Probe:
    """Counts what the training steps of one model compute.

    Args:
        model: a `keras.Model`.
        optimizers: the optimizers whose updates are watched.
        every: training steps between two samples of the distributions.
        selected: callable `layer -> bool`: is its distribution sampled?
        guard: None, or what may hold back updates: an object with
            `apply(apply, gradients, variables, squares, loss) -> dropped`,
            `before_step()` and `after_step(dropped)`, called in the graph.
    """

    def __init__(self, model, optimizers, every, selected, guard=None):
        self.model = model
        self.every = every
        self.banks = {}
        self._optimizers = [o for o in optimizers if o is not None]
        self._selected = selected
        self._guard = guard
        self._taps = Taps(model, selected, self._on_apply)
        self._fused = True  # may be compiled by XLA
        self._clock = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._start = tf.Variable(0, dtype=tf.int64, trainable=False)

    # On the host

    @property
    def step(self):
        """Training steps so far."""
        return int(self._clock.numpy())

    @step.setter
    def step(self, value):
        self._clock.assign(value)

    def restart_sampling(self):
        """The next step is sampled, and every `every` steps from there."""
        self._start.assign(self._clock)

    @contextlib.contextmanager
    def watching_calls(self):
        """While it is open, each call of the model in training is part of a step."""
        self._taps.on_call, self._taps.on_return = self._open_step, self._close_step
        try:
            with self._taps.in_place(self._optimizers):
                yield
        finally:
            self._taps.on_call = self._taps.on_return = None
            self._taps.record = None

    # Around a step

    def monitored(self, train_step):
        """A train step that gives `(logs, status)` for the given one's `logs`.

        `status` is a float64 vector: the step, then the `Bank.flags`. It rides on
        the step's own outputs, so that reading it costs no extra synchronisation.
        """

        def monitored_step(data):
            self._fused = bool(self.model.jit_compile)
            with self._taps.in_place(self._optimizers):
                record = self._open_record()
                record.inputs = floating_tensors(data)
                try:
                    logs = train_step(data)
                finally:
                    self._taps.record = None
                bank = self._finish(record)
                step = tf.cast(record.step, tf.float64)
            return logs, tf.concat([[step], bank.flags], axis=0)

        return monitored_step

    def _open_record(self):
        done = self._clock - self._start
        record = StepRecord(self._clock + 1, sampling=tf.equal(done % self.every, 0))
        if self._guard is not None:
            self._guard.before_step()
        self._taps.record = record
        return record

    def _open_step(self, training):
        # A call outside training, or a further call in the same step.
        record = self.record
        if training is False or (record and record.graph is current_graph()):
            return
        self._open_record()

    def _close_step(self):
        if self.record is not None and not self._optimizers:
            self._end_step()

    def _end_step(self):
        record, self._taps.record = self.record, None
        self._finish(record)

    @property
    def record(self):
        """The `StepRecord` being filled, or None."""
        return self._taps.record

    def _on_apply(self, optimizer, apply, gradients, variables):
        record = self.record
        record.end_forward()
        scale = getattr(optimizer, "dynamic_scale", None)  # LossScaleOptimizer
        pairs = [
            (v, faults.watched_values(g, self._fused))
            for v, g in zip(variables, gradients, strict=True)
            if g is not None
        ]
        squares = [sampling.sum_of_squares(values) for _, values in pairs]
        if scale is not None and optimizer.built:
            squares = [s / tf.square(tf.cast(scale, s.dtype)) for s in squares]
        record.squares += squares
        record.gradients += pairs
        watched = [v for v, _ in pairs]
        if watched:
            shift = step_shift(record.step)
            record.before.append(_weights_before(record.sampling, watched, shift))
        # LossScaleOptimizer drops updates that are not finite itself, and must see
        # them: they are how it finds its scale.
        if self._guard is None or scale is not None:
            result = apply(gradients, variables)
        else:
            result = self._guarded(optimizer, apply, gradients, variables)
        if self._taps.on_call is not None:  # a loop by hand: the step ends here
            self._end_step()
        return result

    def _guarded(self, optimizer, apply, gradients, variables):
        record = self.record
        if not optimizer.built:  # not inside the condition that may skip it
            with keras.name_scope(optimizer.name, caller=optimizer):
                optimizer.build(variables)
        squares = record.squares[-sum(g is not None for g in gradients) :]
        dropped = self._guard.apply(apply, gradients, variables, squares, record.loss)
        record.dropped.append(dropped)
        return optimizer.iterations

    def _finish(self, record):
        self._clock.assign(record.step)
        layers = _by_layer(record.outputs)
        layout = layout_of(self.model, record, layers, self._selected)
        bank = self.banks.get(layout)
        if bank is None:
            bank = self.banks[layout] = Bank(layout)
        if record.squares:
            bank.add_gradients(tf.stack(record.squares))
        faults.watch(record, bank, layers)
        self._sample(record, bank, layers)
        if self._guard is not None and record.dropped:
            dropped = tf.reduce_any(tf.stack(record.dropped))
            bank.add_dropped(dropped)
            self._guard.after_step(dropped)
        return bank

    def _sample(self, record, bank, layers):
        entries = bank.layout.layers
        outputs = [
            calls
            for entry, (_, calls) in zip(entries, layers, strict=True)
            if entry.sampled
        ]
        weights = [v for v, _ in record.gradients]
        before = tf.concat(record.before, axis=0) if record.before else None

        def sample():
            bank.add_sample(record.step, outputs, weights, before)
            return tf.constant(True)

        tf.cond(record.sampling, sample, lambda: tf.constant(False))


def _by_layer(outputs):
    calls: dict = {}
    for layer, tensor in outputs:
        calls.setdefault(id(layer), (layer, []))[1].append(tensor)
    return list(calls.values())


def _weights_before(sampling_now, variables, shift):
    # A copy of the sampled entries, made only in steps that are sampled: XLA wants
    # both branches of one shape.
    size = sum(min(np.prod(v.shape, dtype=int), UPDATE_SAMPLE) for v in variables)
    return tf.cond(
        sampling_now,
        lambda: sample_weights(variables, shift),
        lambda: tf.zeros([size], tf.float64),
    )
