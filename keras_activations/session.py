"""A session: the probe, the rules and the guard of one model in training."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_activations.actions.learning_rate import momentum_of
from keras_activations.actions.responses import action_name
from keras_activations.actions.treatment import Treatment
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import Finding
from keras_activations.telemetry.attachment import Attachment, loop_attachment
from keras_activations.telemetry.probe import Probe
from keras_activations.telemetry.ranges import next_ranges
from keras_activations.telemetry.readout import (
    Fault,
    batch_stats,
    first_fault,
    layer_stats,
)
from keras_activations.telemetry.replicas import Replicas
from keras_activations.telemetry.selection import check_patterns, selector
from keras_activations.telemetry.stats import Window


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What came of a step.

    Attributes:
        window: the `Window` that ended with it, or None.
        findings: list of `Finding`.
        fault: the first `Fault` since the last judgement, or None.
        dropped: whether an update was held back.
        ill: whether an illness goes on that was found by now.
    """

    window: Window | None
    findings: list[Finding]
    fault: Fault | None = None
    dropped: bool = False
    ill: bool = False


class Session:
    """Watches one model, as trained by one optimizer.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer, or None.
        every: training steps between two samples.
        layers: which layers are sampled, see `telemetry.selection.selector`.
        rules: list of rule objects.
        actions: dict of rule name to action.
        phase: what is watched: "train", "test" (`evaluate`), "predict", or "loop" for
            a training loop written by hand.

    Raises:
        ValueError: if the model cannot be watched, or `layers` matches nothing.
    """

    def __init__(self, model, optimizer, every, layers, rules, actions, phase):
        _check_model(model, phase)
        check_patterns(model, layers)
        self.model = model
        self.optimizer = optimizer
        self.phase = phase
        self.attached = False
        self._treatment = Treatment(model, optimizer, rules, actions, phase)
        guard = self._treatment.guard
        self.probe = Probe(model, [optimizer], every, selector(layers), guard)
        self._examiner = Examiner(
            rules,
            {rule: action_name(action) for rule, action in actions.items()},
            loss_scaling=isinstance(optimizer, keras.optimizers.LossScaleOptimizer),
            momentum=momentum_of(optimizer),
        )
        self._treatment.on_changed = self._examiner.begin_anew
        self._attachment = Attachment(model, self.probe, phase, self._treatment.tracing)
        self._totals = {}
        self._epoch_totals = {}

    @property
    def in_charge(self):
        """Whether this process is the one that writes logs and prints."""
        return self.probe.replicas.in_charge

    def attach(self, on_status, on_detach, on_treated):
        """Watches `fit`, `evaluate` or `predict` until `detach`; see `Attachment`.

        Args:
            on_treated: callable `(findings)` run when a treatment that had to wait for
                a batch was given.
        """

        def detached():
            self.attached = False
            self._treatment.end()
            on_detach()

        def before_call(draw):
            self._treatment.before_step(lambda: self.probe.step)
            if self._treatment.waiting:
                on_treated(self._treatment.give_with(draw(), self.probe.step))

        self._begin()
        self._attachment.attach(on_status, detached, before_call)
        self._treatment.begin(self.probe.step, self._attachment.trace_anew)
        self.attached = True

    def detach(self):
        """Leaves the model as it was. Gives False inside a loop by hand."""
        return self._attachment.detach()

    @contextlib.contextmanager
    def attach_to_loop(self):
        """Watches a training loop written by hand while the context is open."""
        self._begin()
        self._treatment.begin(self.probe.step)
        self.model.stop_training = False  # as `fit` does, for the loop to look at
        with loop_attachment(self.model, self.probe):
            self.attached = True
            try:
                yield
            finally:
                self.attached = False

    def begin_epoch(self):
        """A new epoch: the counts for its logs start at 0."""
        self.synchronise()
        self._epoch_totals = {}
        self._examiner.begin_epoch(self.probe.step)

    def synchronise(self):
        """Takes over the optimizer's steps, which a restored backup may have set.

        Own steps run ahead of it by the updates that were dropped.
        """
        if self.optimizer is not None:
            # `iterations` counts updates, which accumulate the gradients of many steps;
            # what Keras stores is `_iterations`, the steps.
            inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
            done = int(keras.ops.convert_to_numpy(inner._iterations))
            if done > self.probe.step:
                self.probe.step = done
                self.probe.restart_sampling()

    def examine(self, epoch):
        """Reads and judges what was counted since the last time.

        Returns:
            `Judgement`.
        """
        window, findings, first, held_back = None, [], None, False
        for bank in self.probe.banks.values():
            if not bank.noted:
                continue
            reading = bank.read()
            _, dropped, samples = reading.flags
            self._add_totals(reading)
            fault = first_fault(reading)
            first, held_back = first or fault, held_back or bool(dropped)
            step = self.probe.step
            if samples or dropped or fault is not None:
                stats = layer_stats(reading, self._totals)
                window = Window(
                    step, epoch, int(samples), stats, **batch_stats(reading)
                )
                if fault is not None:
                    findings += self._examiner.judge_fault(
                        fault, reading.layout, step, epoch, window
                    )
                guard = self._treatment.guard
                if dropped and fault is None and guard is not None:
                    findings += self._examiner.judge_dropped(
                        window, guard.norms.exceeded
                    )
            if samples:
                findings += self._examiner.judge_window(window)
                bank.ranges = next_ranges(reading)
                self._totals = {}
            bank.reset(window=bool(samples or dropped))
        window = window if window and window.samples else None
        ill = bool(findings) or self._examiner.ill
        return Judgement(window, findings, first, held_back, ill)

    def treat(self, judgement, inputs=None):
        """Does what `"clip"` and `"rescue"` ask for.

        Args:
            judgement: a `Judgement`.
            inputs: in a loop by hand, what the model was called with, or None.

        Returns:
            list of `Finding`, one for each intervention.
        """
        return self._treatment.follow(judgement, self.probe.step, inputs)

    def epoch_logs(self, stats):
        """The worst layer's figures, for the logs of an epoch.

        Args:
            stats: dict of path to `LayerStats` of the last window.

        Returns:
            dict with `saturation` (share), `dead_units` and `nonfinite` (counts).
        """
        layers = stats.values()
        counts = (total.sum() for total in self._epoch_totals.values())
        return {
            "saturation": max((s.saturation or 0.0 for s in layers), default=0.0),
            "dead_units": max((s.dead_units or 0 for s in layers), default=0),
            "nonfinite": int(max(counts, default=0)),
        }

    def _begin(self):
        for bank in self.probe.banks.values():
            bank.reset()
        self.synchronise()
        self.probe.restart_sampling()
        self._totals = {}
        self._examiner.restart(self.probe.step)

    def _add_totals(self, reading):
        counts = reading.faults[0]
        for row in np.flatnonzero(counts.any(axis=1)):  # mostly there are none
            source = reading.layout.sources[row]
            for totals in (self._totals, self._epoch_totals):
                totals[source] = totals.get(source, 0) + counts[row]


def _check_model(model, phase):
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"ActivationMonitor watches a keras.Model. Received: model={model!r}"
        )
    strategy = model.distribute_strategy
    if Replicas(strategy).several_workers:
        if phase != "loop":
            raise ValueError(
                "Keras itself cannot train or evaluate on several workers (keras#20585): "
                "write the training loop by hand, inside `with monitor.attach(model):`. "
                f"Received: model={model.name!r} under MultiWorkerMirroredStrategy"
            )
    elif strategy.num_replicas_in_sync > 1 and not isinstance(
        strategy,
        (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy),
    ):
        raise ValueError(
            "ActivationMonitor supports several replicas under MirroredStrategy and "
            "MultiWorkerMirroredStrategy. Received: a model under "
            f"{type(strategy).__name__} with {strategy.num_replicas_in_sync} replicas"
        )
