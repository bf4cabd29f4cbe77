"""The examiner: takes the rules through a run and keeps their state."""

import dataclasses

from keras_activations.health.rules import ExplodingGradient, NonFinite

# LossScaleOptimizer halves its scale, 2**15 at first, on each overflow. That many in
# a row is its usual start; more means that the gradients themselves are at fault.
OVERFLOWS_ALLOWED = 20


class Examiner:
    """Judges the steps and windows of one run.

    Args:
        rules: list of rule objects.
        actions: dict of rule name to the name of its action.
        loss_scaling: bool, gradients are scaled and overflow is part of the game.
    """

    def __init__(self, rules, actions, loss_scaling=False):
        self._rules = rules
        self._actions = actions
        self._loss_scaling = loss_scaling
        self._states = {rule.name: None for rule in rules}
        self._bad_until = 0
        self._overflows = 0
        self._nonfinite = _one(rules, NonFinite)
        self._exploding = _one(rules, ExplodingGradient)

    def restart(self):
        """A new run: what was not finite at the end of the last one is told again."""
        self._bad_until = self._overflows = 0

    def judge_fault(self, fault, layout, last_step, epoch):
        """Findings for a step that was not finite.

        A fault that goes on from step to step is one illness, told once.

        Args:
            fault: a `Fault`.
            layout: the `Layout` of the step.
            last_step: the last step that the fault was seen at.
            epoch: epoch of the step.
        """
        if self._nonfinite is None:
            return []
        goes_on = fault.step <= self._bad_until + 1
        self._overflows = self._overflows + 1 if goes_on else 1
        told = goes_on and self._bad_until > 0
        self._bad_until = last_step
        if self._loss_scaling and fault.where == "gradient":
            told = self._overflows != OVERFLOWS_ALLOWED
        if told:
            return []
        layer, between = _place(fault, layout)
        return self._named([self._nonfinite.judge_fault(fault, layer, epoch, between)])

    def judge_window(self, window):
        """Findings of all rules for a window."""
        findings = []
        for rule in self._rules:
            found, state = rule.judge(window, self._states[rule.name])
            self._states[rule.name] = state
            findings += found
        return self._named(findings)

    def judge_dropped(self, window, limit):
        """Findings for a finite update that was held back: its norm was over `limit`."""
        if self._exploding is None:
            return []
        state = self._states[self._exploding.name]
        findings, state = self._exploding.judge_dropped(window, state, limit)
        self._states[self._exploding.name] = state
        return self._named(findings)

    def _named(self, findings):
        return [
            dataclasses.replace(finding, action=self._actions[finding.rule])
            for finding in findings
        ]


def _one(rules, kind):
    return next((rule for rule in rules if isinstance(rule, kind)), None)


def _place(fault, layout):
    """The layer a fault belongs to; for a gradient also where it may have arisen.

    Backwards, a gradient first goes bad between the last layer whose weights got a
    finite one and the first whose weights did not.
    """
    if fault.where != "gradient":
        return fault.path, ()
    owner = next(w.layer for w in layout.weights if w.path == fault.path)
    order = [entry.path for entry in layout.layers]
    if owner not in order:
        return owner, ()
    healthy = {w.layer for w in layout.weights} - {owner}
    between = []
    for path in order[order.index(owner) + 1 :]:
        between.append(path)
        if path in healthy:
            break
    return owner, tuple(between)
