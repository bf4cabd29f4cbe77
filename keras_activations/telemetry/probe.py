"""The probe: a training step that counts while it trains.

It joins the taps (what a step computed) with the banks (where it is counted). The
step itself is the user's; what is added to it reads, and writes only to banks.
"""

import contextlib

import tensorflow as tf

from keras_activations.telemetry.banks import Bank
from keras_activations.telemetry.building import trains_as_keras_does
from keras_activations.telemetry.fusion import fused
from keras_activations.telemetry.layouts import layout_of
from keras_activations.telemetry.looking import HandedOut, look
from keras_activations.telemetry.record import StepRecord, current_graph
from keras_activations.telemetry.replicas import Replicas
from keras_activations.telemetry.taps import Taps
from keras_activations.telemetry.updates import Updates, measure, verdict
from keras_activations.telemetry.xla import traces_for_xla

SLOTS = 8  # samples kept until they are read, the last ones


class Probe:
    """Counts what the training steps of one model compute.

    Args:
        model: a `keras.Model`.
        optimizers: the optimizers whose updates are watched.
        every: training steps between two samples of the distributions.
        selected: callable `layer -> bool`: is its distribution sampled?
        guard: None, or what may hold back updates: an object with
            `apply(optimizer, apply, gradients, variables, norms, loss)`, which gives
            whether the update is dropped and squared norms of what is learnt,
            `before_step()` and `after_step(dropped)`, called in the graph, and with
            `learns_otherwise` and `units_of(variable)`, see `UpdateGuard`. If its
            `outside` is true, its `around(step)` is called with a step that gives a
            verdict as well; see `monitored`.
    """

    def __init__(self, model, optimizers, every, selected, guard=None):
        self.model = model
        self.every = every
        self.banks = {}
        self._handed_out = HandedOut()
        self._optimizers = [o for o in optimizers if o is not None]
        self._selected = selected
        self._guard = guard
        self._taps = Taps(model, selected, self._on_apply)
        self.replicas = Replicas(model.distribute_strategy)
        self._updates = Updates(model, self.replicas, guard)
        self._clock = self.replicas.variable(0, "int64")
        self._start = self.replicas.variable(0, "int64")

    # On the host

    @property
    def step(self):
        """Training steps so far."""
        return int(self.replicas.local(self._clock)[0])

    @step.setter
    def step(self, value):
        self.replicas.assign(self._clock, value)

    def forget_traces(self):
        """Steps are about to be traced anew: what was kept for earlier ones goes."""
        self.banks.clear()  # theirs is the room that the last ones needed
        self._handed_out.clear()

    def restart_sampling(self):
        """The next step is sampled, and every `every` steps from there."""
        self.replicas.assign(self._start, self.step)

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

    def monitored(self, step):
        """A step that gives `(results, status)` for the given one's results.

        `status` is a float64 matrix, a row a replica: the step, then the `Bank.flags`.
        It rides on the step's own outputs, so that reading it costs no extra
        synchronisation. Of what each replica puts out Keras takes the mean, so that
        each gives as many times its own row as there are replicas.

        For a guard outside of the step it gives `(results, status, verdict)`, where
        `verdict` has such a row as well: was there an update, is it to be dropped, and
        the global norm of its gradients.

        Where XLA compiles the step, the place of `status` is taken by what is to be
        counted, and `around` it counts that and gives the status.

        Args:
            step: callable `(data)`, e.g. `model.train_step`.
        """

        def monitored_step(data):
            with self._taps.in_place(self._optimizers):
                record = self._open_record()
                record.add_batch(data)
                record.gradients_of_the_tape = trains_as_keras_does(step)
                try:
                    results = step(data)
                finally:
                    self._taps.record = None
                counted = self._finish(record, hand_out=self._counts_outside)
                if not self._guarded_from_outside:
                    return results, counted
                return results, counted, self._own_row(verdict(record))

        return monitored_step

    def around(self, step):
        """What is done outside of a monitored step, and of what XLA compiles of it."""
        if self._counts_outside:
            step = self._counting(step)
        return self._guard.around(step) if self._guarded_from_outside else step

    def _counting(self, step):
        def counting_step(data):
            results, counted, *verdict = step(data)
            record, bank = self._handed_out.take(counted, data)
            self._count(record, bank)
            return results, self._status(record, bank), *verdict

        return counting_step

    @property
    def _counts_outside(self):
        compiled = self.model.jit_compile and not self.model.run_eagerly
        return bool(compiled) and self.replicas.number == 1

    @property
    def _guarded_from_outside(self):
        return self._guard is not None and self._guard.outside

    def _own_row(self, vector):
        return self.replicas.own_row(self.replicas.number * vector)

    def _open_record(self):
        clock = self._clock.read_value()
        done = clock - self._start.read_value()
        sampling = tf.equal(done % self.every, 0)
        record = StepRecord(clock + 1, sampling, traces_for_xla())
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
        record, by_hand = self.record, self._taps.on_call is not None
        record.end_forward()
        # Gradients summed by hand are often applied in a branch, whose tensors are out of
        # reach of the step around it.
        if current_graph() is not record.graph and not by_hand:
            return apply(gradients, variables)
        result = self._updates.seen(record, optimizer, apply, gradients, variables)
        if by_hand:  # the step ends here
            self._end_step()
        return result

    def _finish(self, record, hand_out=False):
        """Counts what is in a record, or hands it out; see `monitored`."""
        self._clock.assign(record.step)
        record.fused = fused(record)
        layout = layout_of(self.model, record, record.by_layer(), self._selected)
        bank = self.banks.get(layout)
        if bank is None:
            bank = self.banks[layout] = self._new_bank(layout, record)
        if hand_out:
            counted = self._handed_out.give(record, bank)
        else:
            self._count(record, bank)
        if self._guard is not None and record.dropped:
            dropped = tf.reduce_any(tf.stack(record.dropped))
            bank.add_dropped(dropped)
            self._guard.after_step(dropped)
        if self.replicas.several_workers:
            bank.share_flags()
        return counted if hand_out else self._status(record, bank)

    def _count(self, record, bank):
        measure(record)
        if record.norms:
            bank.add_gradients(tf.stack(record.norms))
        look(record, bank)

    def _status(self, record, bank):
        number = tf.cast(record.step, tf.float64)
        return self._own_row(tf.concat([[number], bank.flags.read_value()], axis=0))

    def _new_bank(self, layout, record):
        wide = any(tensor.dtype == tf.float64 for _, tensor in record.outputs)
        # `fit` reads it after each execution, however many steps that has; a loop by
        # hand may have any number of them in one function.
        by_hand = self._taps.on_call is not None
        execution = getattr(self.model, "steps_per_execution", 1)
        return Bank(
            layout,
            variables=[variable for variable, _ in record.gradients],
            weight_entries=self._updates.weight_entries,
            every=self.every,
            slots=SLOTS if by_hand else min(-(-execution // self.every), SLOTS),
            dtype="float64" if wide else "float32",
            replicas=self.replicas,
            **({} if self._guard is None else {"units_of": self._guard.units_of}),
        )
