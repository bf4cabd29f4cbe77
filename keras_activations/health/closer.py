"""A closer look at a run that does not learn.

What is wrong with it need not be as far gone as in a run that is ill for sure: stricter
rules, which would cry wolf over runs that learn, are believed where the start of the run
holds a plain cause as well. Where most of the gradient is lost, no cause is asked for, and
the loss may have fallen a little before: the last layer's bias can do that alone. So it may
where the units of a layer are alike, and do the work of one.
"""

import dataclasses

from keras_activations.health.causes import explained
from keras_activations.health.suspects import Case


def closer_look(rules, window, history):
    """Findings for what has been mildly ill from the start, and has a plain cause.

    Args:
        rules: list of rule objects; those without `closer` are left out.
        window: the `Window`.
        history: the `History` up to that window.

    Returns:
        list of `Finding`; empty as long as the run learns.
    """
    if not lags(window, history):
        return []
    rests = history.rests()
    stuck = history.stuck(window) or (rests and history.at_chance(window))
    findings = []
    for rule in rules:
        closer = rule.closer() if hasattr(rule, "closer") else None
        if closer is not None:
            findings += closer.look(window, history.first)
    known = [explained(Case(finding, window, history)) for finding in findings]
    seen = "the loss has hardly fallen since the start"
    if not history.slow(window):
        seen = "the outputs are no better than a guess"
    return [
        dataclasses.replace(finding, message=f"{seen}: {finding.message}")
        for finding in known
        if ((stuck or rests) and _lost(finding))
        or (stuck and finding.cause != "unknown")
        or finding.cause == "alike_weights"
    ]


def lags(window, history):
    """Whether a run has learnt little, after long enough."""
    return history.slow(window) or history.at_chance(window)


def _lost(finding):
    # To the depth of the network, which needs no other cause.
    return (
        finding.rule == "vanishing_gradient" and finding.value < finding.threshold / 3
    )
