"""The examiner: takes the rules through a run and keeps their state."""

import dataclasses
from typing import Any

from keras_activations.health import illness
from keras_activations.health.causes import explained, explained_fault
from keras_activations.health.closer import closer_look, lags
from keras_activations.health.history import History
from keras_activations.health.rules import ExplodingGradient, NonFinite
from keras_activations.health.suspects import Case

# LossScaleOptimizer halves its scale, 2**15 at first, on each overflow. That many in
# a row is its usual start; more means that the gradients themselves are at fault.
OVERFLOWS_ALLOWED = 20
# Good steps after which a fault is a new one.
GONE = 30


class Examiner:
    """Judges the steps and windows of one run.

    Args:
        rules: list of rule objects.
        actions: dict of rule name to the name of its action.
        loss_scaling: bool, gradients are scaled and overflow is part of the game.
        momentum: float, of the optimizer.
    """

    def __init__(self, rules, actions, loss_scaling=False, momentum=0.0):
        self._rules = rules
        self._actions = actions
        self._loss_scaling = loss_scaling
        self._states: dict[str, Any] = {rule.name: None for rule in rules}
        self._history = History(momentum=momentum)
        self._illnesses: tuple = ()
        self._looked: frozenset = frozenset()  # rules of what a closer look has found
        self._ill_for: dict[str, int] = {}
        self._untrained = True
        self._bad_until = 0
        self._overflows = 0
        self._told_fault = self._told_rows = False
        self._last_at: dict[tuple, int] = {}
        self._epoch_start = None
        self._nonfinite = _one(rules, NonFinite)
        self._exploding = _one(rules, ExplodingGradient)

    def restart(self, step=0):
        """A new run after so many steps: what was not finite is told again."""
        # A loss that has fallen before may have come to rest.
        self._untrained = step == 0
        self._bad_until = self._overflows = 0
        self._told_fault = self._told_rows = False
        self._last_at = {}
        self._epoch_start = None

    @property
    def ill(self):
        """Whether an illness goes on that has been found."""
        return bool(self._illnesses)

    def begin_anew(self, momentum=0.0):
        """Weights were changed from outside: nothing seen so far holds of them.

        Args:
            momentum: float, of the optimizer from now on.
        """
        self._states = dict.fromkeys(self._states)
        self._history = History(momentum=momentum)
        self._illnesses = ()
        self._looked = frozenset()
        self._ill_for = {}
        self._last_at = {}

    def begin_epoch(self, step):
        """A new epoch, before which so many steps were done."""
        self._epoch_start = step

    def judge_fault(self, fault, layout, last_step, epoch, window=None):
        """Findings for a step that was not finite.

        A fault that goes on from step to step is one illness, told once, and so is one
        that comes and goes in the same place.

        Args:
            fault: a `Fault`.
            layout: the `Layout` of the step.
            last_step: the last step that the fault was seen at.
            epoch: epoch of the step.
            window: a `Window` of the steps up to this one, where there is one.
        """
        if self._nonfinite is None:
            return []
        goes_on = fault.step <= self._bad_until + 1
        self._overflows = self._overflows + 1 if goes_on else 1
        place = fault.where, fault.path, bool(fault.batch_count)
        comes_back = fault.step <= self._last_at.get(place, -GONE) + GONE
        told = comes_back or (goes_on and self._bad_until > 0)
        self._bad_until = self._last_at[place] = last_step
        if self._loss_scaling and fault.where == "gradient":
            told = self._overflows != OVERFLOWS_ALLOWED
            self._told_fault &= goes_on
        if told:
            return []
        self._told_fault = True
        layer, between = _place(fault, layout)
        finding = self._nonfinite.judge_fault(
            fault, layer, epoch, between, self._batch(fault.step)
        )
        case = Case(finding, window, self._known(window))
        earlier = self._illnesses[0].root if self._illnesses else None
        finding = explained_fault(case, fault, self._loss_scaling, earlier)
        return self._named([finding])

    def judge_window(self, window):
        """Findings of all rules for a window."""
        before = dict(self._states)
        if self._told_fault and self._bad_until >= window.step:
            # Of numbers that are none only their own rule has something to say.
            return self._named(self._judged(window, [self._nonfinite]))
        self._history = self._history.after(window)
        self._note_ill(window)
        findings = self._judged(window, self._rules)
        findings = [explained(Case(f, window, self._history)) for f in findings]
        findings = [f for f in findings if not self._put_off(f, window, before)]
        findings = findings or self._looked_closer(window)
        ill = {name for name, state in self._states.items() if _reported(state)}
        ill |= set(self._ill_for)
        if lags(window, self._history):
            ill |= self._looked
        self._illnesses = illness.aged(self._illnesses, ill)
        spreading = {name for name, state in before.items() if _reported(state)}
        told, self._illnesses = illness.sift(
            self._named(findings), self._illnesses, window, spreading
        )
        return self._new_rows(told)

    def _looked_closer(self, window):
        """Findings of a closer look, once, where nothing else is known to be ill."""
        if not self._untrained or self._illnesses or self._looked:
            return []
        findings = closer_look(self._rules, window, self._history)
        self._looked = frozenset(finding.rule for finding in findings)
        return findings

    def _judged(self, window, rules):
        findings = []
        for rule in rules:
            found, state = rule.judge(window, self._states[rule.name])
            self._states[rule.name] = state
            findings += found
        return findings

    def judge_dropped(self, window, limit):
        """Findings for a finite update that was held back: its norm was over `limit`."""
        if self._exploding is None:
            return []
        state = self._states[self._exploding.name]
        findings, state = self._exploding.judge_dropped(window, state, limit)
        self._states[self._exploding.name] = state
        history = self._known(window)
        cases = [Case(finding, window, history) for finding in findings]
        return self._new_rows(self._named([explained(case) for case in cases]))

    def _new_rows(self, findings):
        """Without what was said before of rows that are far out: each epoch has them."""
        new = [f for f in findings if not (self._told_rows and _of_rows(f))]
        self._told_rows |= any(map(_of_rows, findings))
        return new

    def _known(self, window):
        """The history, which a fault in the first step comes before."""
        fresh = self._history.first is None and window is not None and window.samples
        return self._history.after(window) if fresh else self._history

    def _put_off(self, finding, window, before):
        """Whether to wait with a finding, and judge anew in the next window."""
        state = self._states[finding.rule]
        if not hasattr(state, "_replace"):  # a rule of the user's own
            return False
        harmless = illness.harmless(finding, window, self._history)
        if not harmless and not self._behind_others(finding):
            return False
        # As if it had not been found, so that the next window finds it again.
        earlier = _reported(before[finding.rule])
        self._states[finding.rule] = state._replace(reported=earlier)
        return True

    def _behind_others(self, finding):
        """Whether a gradient vanishes in layers on their way to a finding of their own.

        Not if it vanished before they fell ill.
        """
        if finding.rule != "vanishing_gradient":
            return False
        told = {name for name, state in self._states.items() if _reported(state)}
        since = max(self._ill_for.get(finding.rule, 0), 1)
        others = {"saturation", "dead_units"} - told
        return any(self._ill_for.get(other, 0) >= since for other in others)

    def _note_ill(self, window):
        """For how many windows running each rule has had an ill layer."""
        self._ill_for = {
            rule.name: self._ill_for.get(rule.name, 0) + 1
            for rule in self._rules
            if hasattr(rule, "ill") and rule.ill(window)
        }

    def _batch(self, step):
        if self._epoch_start is None or step <= self._epoch_start:
            return None
        return step - self._epoch_start

    def _named(self, findings):
        return [
            dataclasses.replace(finding, action=self._actions[finding.rule])
            for finding in findings
        ]


def _of_rows(finding):
    return finding.rule == "exploding_gradient" and finding.cause == "bad_data"


def _reported(state):
    return getattr(state, "reported", frozenset())


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
