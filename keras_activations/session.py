"""A session: the probe, the rules and the guard of one model in training."""

import contextlib
import dataclasses

import keras
import numpy as np

from keras_activations.actions.guard import UpdateGuard
from keras_activations.actions.responses import action_name
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import Finding
from keras_activations.health.rules import ExplodingGradient
from keras_activations.telemetry.attachment import FitAttachment, loop_attachment
from keras_activations.telemetry.probe import Probe
from keras_activations.telemetry.readout import first_fault, layer_stats, next_ranges
from keras_activations.telemetry.selection import check_patterns, selector
from keras_activations.telemetry.stats import Window


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What came of a step.

    Attributes:
        window: the `Window` that ended with it, or None.
        findings: list of `Finding`.
    """

    window: Window | None
    findings: list[Finding]


class Session:
    """Watches one model, as trained by one optimizer.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer, or None.
        every: training steps between two samples.
        layers: which layers are sampled, see `telemetry.selection.selector`.
        rules: list of rule objects.
        actions: dict of rule name to action.

    Raises:
        ValueError: if the model cannot be watched, or `layers` matches nothing.
    """

    def __init__(self, model, optimizer, every, layers, rules, actions):
        _check_model(model)
        check_patterns(model, layers)
        self.model = model
        self.optimizer = optimizer
        self.attached = False
        self._guard = _guard(model, rules, actions)
        self.probe = Probe(model, [optimizer], every, selector(layers), self._guard)
        self._examiner = Examiner(
            rules,
            {rule: action_name(action) for rule, action in actions.items()},
            loss_scaling=isinstance(optimizer, keras.optimizers.LossScaleOptimizer),
        )
        self._fit = FitAttachment(model, self.probe)
        self._totals = {}
        self._epoch_totals = {}

    def attach_to_fit(self, on_status, on_detach):
        """Watches `fit` until `detach`; see `FitAttachment`."""

        def detached():
            self.attached = False
            on_detach()

        self._begin()
        self._fit.attach(on_status, detached)
        self.attached = True

    def detach(self):
        """Leaves `fit`, the model as it was. Gives False inside a loop by hand."""
        return self._fit.detach()

    @contextlib.contextmanager
    def attach_to_loop(self):
        """Watches a training loop written by hand while the context is open."""
        self._begin()
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

    def synchronise(self):
        """Takes over the optimizer's steps, which a restored backup may have set.

        Own steps run ahead of it by the updates that were dropped.
        """
        if self.optimizer is not None:
            done = int(keras.ops.convert_to_numpy(self.optimizer.iterations))
            if done > self.probe.step:
                self.probe.step = done
                self.probe.restart_sampling()

    def examine(self, epoch):
        """Reads and judges what was counted since the last time.

        Returns:
            `Judgement`.
        """
        window, findings = None, []
        for bank in self.probe.banks.values():
            reading = bank.read()
            _, dropped, samples = reading.flags
            if not reading.flags.any():
                continue
            self._add_totals(reading)
            fault = first_fault(reading)
            step = self.probe.step
            if fault is not None:
                findings += self._examiner.judge_fault(
                    fault, reading.layout, step, epoch
                )
            if samples or dropped:
                stats = layer_stats(reading, self._totals)
                window = Window(step, epoch, int(samples), stats)
                if dropped and fault is None:
                    findings += self._examiner.judge_dropped(
                        window, self._guard.exceeded
                    )
            if samples:
                findings += self._examiner.judge_window(window)
                bank.set_ranges(next_ranges(reading))
                self._totals = {}
            bank.reset(window=bool(samples or dropped))
        return Judgement(window if window and window.samples else None, findings)

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

    def _add_totals(self, reading):
        for source, counts in zip(
            reading.layout.sources, reading.faults[0], strict=True
        ):
            for totals in (self._totals, self._epoch_totals):
                totals[source] = totals.get(source, np.zeros(2)) + counts


def _check_model(model):
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"ActivationMonitor watches a keras.Model. Received: model={model!r}"
        )
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "ActivationMonitor does not support training on several replicas in this "
            "version. Received: a model under "
            f"{type(model.distribute_strategy).__name__} with "
            f"{model.distribute_strategy.num_replicas_in_sync} replicas"
        )


def _guard(model, rules, actions):
    clipped = [rule for rule in rules if actions[rule.name] == "clip"]
    if not clipped:
        return None
    exploding = [rule for rule in clipped if isinstance(rule, ExplodingGradient)]
    return UpdateGuard(
        model,
        nonfinite=any(rule.name == "nonfinite" for rule in clipped),
        exploding=exploding[0] if exploding else None,
    )
