"""A closer look at a run that does not learn.

What is wrong with it need not be as far gone as in a run that is ill for sure: stricter
rules, which would cry wolf over runs that learn, are believed where the start of the run
holds a plain cause as well, or most of the gradient is lost.
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
    if not history.stuck(window):
        return []
    findings = []
    for rule in rules:
        closer = rule.closer() if hasattr(rule, "closer") else None
        if closer is not None:
            findings += closer.look(window, history.first)
    known = [explained(Case(finding, window, history)) for finding in findings]
    return [_told(finding) for finding in known if _plain(finding)]


def _plain(finding):
    # A gradient that is lost to depth has no cause but the depth.
    lost = (
        finding.rule == "vanishing_gradient" and finding.value < finding.threshold / 3
    )
    return lost or finding.cause != "unknown"


def _told(finding):
    seen = f"the loss has not fallen since the start: {finding.message}"
    return dataclasses.replace(finding, message=seen)
