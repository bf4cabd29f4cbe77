import functools
import types

import pytest

from keras_activations.actions.responses import (
    ACTIONS,
    FindingError,
    action_name,
    check_action,
    respond,
)
from keras_activations.health.finding import RULES, Finding

FINDING = Finding(7, 1, "dense", "nonfinite", 3.0, 0.0, "raise", "It is ill.")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("action", [*ACTIONS, print])
def test_every_rule_can_have_every_action(rule, action):
    assert check_action(rule, action) is action


@pytest.mark.parametrize("action", ["warning", "Stop", "rase", "", None, 3, True, []])
def test_unknown_actions(action):
    with pytest.raises(ValueError, match="`on_dead_units` must be one of") as error:
        check_action("dead_units", action)
    message = str(error.value)
    assert f"Received: on_dead_units={action!r}" in message
    for allowed in ACTIONS:
        assert repr(allowed) in message


@pytest.mark.parametrize(
    ("typo", "meant"), [("warning", "warn"), ("rase", "raise"), ("Stop", "stop")]
)
def test_the_close_match_is_named(typo, meant):
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'?"):
        check_action("saturation", typo)


def test_names():
    assert action_name("stop") == "stop"
    assert action_name(print) == "print"
    assert action_name(functools.partial(print)) == "callable"


@pytest.mark.parametrize(
    ("action", "stops"),
    [(action, action == "stop") for action in ACTIONS if action != "raise"],
)
def test_respond(action, stops):
    model = types.SimpleNamespace(stop_training=False)
    respond(FINDING, action, model)
    assert vars(model) == {"stop_training": stops}


def test_respond_with_an_exception_that_carries_the_finding():
    with pytest.raises(FindingError, match="step 7, dense: It is ill.") as error:
        respond(FINDING, "raise", None)
    assert error.value.finding is FINDING
    assert isinstance(error.value, RuntimeError)


def test_respond_with_a_callable():
    seen = []
    respond(FINDING, lambda finding, model: seen.append((finding, model)), "the model")
    assert seen == [(FINDING, "the model")]
