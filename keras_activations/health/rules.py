"""Rules: pure functions of a window and a small explicit state, giving findings.

A rule never sees a tensor or a model. `judge(window, state)` returns its findings
and the next state; the first state is None. An illness is reported once, for the
first ill layer in execution order, and again only after that layer has recovered.
"""

import difflib

from keras_activations.health.dead import DeadUnits
from keras_activations.health.exploding import ExplodingGradient
from keras_activations.health.finding import RULES
from keras_activations.health.nonfinite import NonFinite
from keras_activations.health.saturation import Saturation
from keras_activations.health.vanishing import VanishingGradient

__all__ = [
    "DeadUnits",
    "ExplodingGradient",
    "NonFinite",
    "Saturation",
    "VanishingGradient",
    "check_rules",
    "default_rules",
]


def default_rules():
    """The five rules with their default thresholds."""
    return [
        NonFinite(),
        Saturation(),
        DeadUnits(),
        VanishingGradient(),
        ExplodingGradient(),
    ]


def check_rules(rules):
    """The rules of a monitor; None stands for the default ones.

    Raises:
        ValueError: unless each is a rule object and comes once.
    """
    if rules is None:
        return default_rules()
    if not isinstance(rules, (list, tuple)):
        raise ValueError(f"`rules` must be a list of rules. Received: rules={rules!r}")
    for rule in rules:
        name = getattr(rule, "name", rule)
        if name in RULES and hasattr(rule, "judge") and not isinstance(rule, type):
            continue
        close = difflib.get_close_matches(str(name), RULES, n=2)
        hint = f" Close matches: {close}." if close else ""
        raise ValueError(
            "`rules` must be rule objects of `keras_activations.rules`, whose names are "
            f"{', '.join(RULES)}.{hint} Received: {rule!r}"
        )
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ValueError(f"`rules` must hold each rule once. Received: {names}")
    return list(rules)
