"""What holds for every rule: order, purity, options."""

import math

import pytest

from keras_activations.health import rules
from keras_activations.health.finding import RULES
from tests.health.windows import dead, norms, saturated, window


def test_default_rules_are_all_of_them_in_order():
    default = rules.default_rules()
    assert tuple(rule.name for rule in default) == RULES
    for rule in default:
        assert all(isinstance(v, (int, float)) for v in rule.thresholds().values())


@pytest.mark.parametrize("rule", rules.default_rules(), ids=lambda rule: rule.name)
def test_judging_leaves_rule_window_and_state_as_they_were(rule):
    before = dict(vars(rule))
    layers = [saturated("a", 0.9, weights=norms(a=1.0)[0].weights), dead("b", 1, 1)]
    first, state = rule.judge(window(*layers), None)
    again, _ = rule.judge(window(*layers), None)
    assert first == again
    assert (
        rule.judge(window(*layers), state)[0] == rule.judge(window(*layers), state)[0]
    )
    assert vars(rule) == before


@pytest.mark.parametrize(
    ("kind", "option", "values"),
    [
        (rules.Saturation, "threshold", [0, -1, 1.5, math.nan]),
        (rules.Saturation, "patience", [0, -1, 1.5]),
        (rules.DeadUnits, "threshold", [0, 2, math.nan]),
        (rules.DeadUnits, "patience", [0]),
        (rules.VanishingGradient, "ratio", [0, -0.1, 1.1, math.nan]),
        (rules.VanishingGradient, "patience", [0]),
        (rules.ExplodingGradient, "factor", [1, 0, math.inf, math.nan]),
        (rules.ExplodingGradient, "floor", [0, -1, math.inf]),
        (rules.ExplodingGradient, "limit", [0, -1, math.inf, math.nan]),
        (rules.ExplodingGradient, "history", [2, 0, -1]),
        (rules.ExplodingGradient, "stride", [0, -1, math.inf, math.nan]),
    ],
)
def test_options_out_of_range(kind, option, values):
    for value in values:
        with pytest.raises(ValueError, match=f"`{option}` must .*Received: .*{value}"):
            kind(**{option: value})
