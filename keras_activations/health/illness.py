"""Illnesses: findings that have one root, of which one is told, and harmless ones."""

import dataclasses
import math

from keras_activations.health import anatomy
from keras_activations.health.dead import sparse
from keras_activations.health.finding import Finding
from keras_activations.health.norms import norm_ratios

# Windows without a trace of it after which an illness is over.
RECOVERED = 3

# What an illness brings about by itself, be its cause known or not.
_BRINGS = {
    "nonfinite": {
        "saturation",
        "dead_units",
        "vanishing_gradient",
        "exploding_gradient",
    },
    "exploding_gradient": {"saturation", "dead_units", "vanishing_gradient"},
    "saturation": {"vanishing_gradient"},
    "dead_units": {"vanishing_gradient"},
    "vanishing_gradient": set(),
}

# Earlier ones are told rather than later ones that come of the same cause.
_RANK = {
    "nonfinite": 0,
    "exploding_gradient": 1,
    "saturation": 2,
    "dead_units": 2,
    "vanishing_gradient": 3,
}

_MILD = ("ignore", "warn")


@dataclasses.dataclass(frozen=True)
class Illness:
    """A finding that was told, and what came of the same illness.

    Attributes:
        root: the `Finding`.
        rules: names of the rules that have found something of it.
        well: windows since any of them did.
    """

    root: Finding
    rules: frozenset
    well: int = 0

    def explains(self, finding, spreading):
        """Whether a finding is of this illness, and need not be told.

        An action that does something to the run is not held back by one that does
        not; and where it did something, a relapse is told at once.

        Args:
            finding: a `Finding`.
            spreading: names of the rules by which layers were ill already.
        """
        if finding.rule in self.rules and (
            finding.rule in spreading or finding.action in _MILD
        ):
            return True
        if finding.action not in _MILD and finding.action != self.root.action:
            return False
        if self.root.action == "ignore" != finding.action:
            return False
        if finding.rule in ("nonfinite", self.root.rule):
            return False
        same_cause = finding.cause == self.root.cause != "unknown"
        return same_cause or any(finding.rule in _BRINGS[rule] for rule in self.rules)


def sift(findings, illnesses, window, spreading=frozenset()):
    """Keeps of several findings those that are illnesses of their own.

    Args:
        findings: list of `Finding`, all of this window, with causes and actions.
        illnesses: tuple of the `Illness`es that are not over.
        window: the `Window`.
        spreading: names of the rules by which layers were ill before it.

    Returns:
        the findings to tell, and the illnesses afterwards.
    """
    order = {path: i for i, path in enumerate(anatomy.in_order(window))}
    findings = sorted(
        findings, key=lambda f: (_RANK[f.rule], order.get(f.layer, len(order)))
    )
    known, new = list(illnesses), []
    for finding in findings:
        place = _place(finding, known, spreading)
        if place is None:
            new.append(len(known))
            known.append(Illness(finding, frozenset({finding.rule})))
        else:
            known[place] = _joined(known[place], finding, told_now=place in new)
    return [known[place].root for place in new], tuple(known)


def aged(illnesses, ill_rules):
    """The illnesses after a window in which these rules had something ill."""
    older = [
        dataclasses.replace(i, well=0 if i.rules & ill_rules else i.well + 1)
        for i in illnesses
    ]
    return tuple(illness for illness in older if illness.well < RECOVERED)


def _place(finding, illnesses, spreading):
    for i, known in enumerate(illnesses):
        if known.explains(finding, spreading):
            return i
    return None


def _joined(illness, finding, told_now):
    root = illness.root
    if told_now:
        what = finding.rule.replace("_", " ")
        text = f"{root.message.rstrip('.')}; with it comes {what} in {finding.layer}."
        root = dataclasses.replace(root, message=text)
    return dataclasses.replace(illness, root=root, rules=illness.rules | {finding.rule})


def harmless(finding, window, history):
    """Whether a layer may be as it is to some purpose, like a binary code.

    Nothing is known to be wrong with it but a rate that may be right, and the run learns
    well all the same; or begins to, with units enough that are left.

    Args:
        finding: a `Finding`.
        window: the `Window` it is of.
        history: the `History` up to that window.
    """
    if finding.rule not in ("saturation", "dead_units", "vanishing_gradient"):
        return False
    if history.learns(window):
        known = finding.cause not in ("unknown", "learning_rate")
        return not known and not _never_learnt(finding, window, history)
    if finding.rule != "dead_units" or finding.cause != "unknown":
        return False
    return sparse(window.layers.get(finding.layer)) and history.falls(window)


def _never_learnt(finding, window, history):
    """Whether a layer's gradient was lost from the start, and the loss no longer falls.

    Then only the layers behind it have learnt, the last one's bias for instance.
    """
    if finding.rule != "vanishing_gradient" or not history.has_come_to_rest(window):
        return False
    at_first = norm_ratios(history.first).get(finding.layer, math.inf)
    return at_first < finding.threshold and finding.value < finding.threshold / 10
