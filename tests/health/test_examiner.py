"""The examiner: lasting faults, loss scaling, where a gradient goes bad."""

import numpy as np
import pytest

from keras_activations.health import rules
from keras_activations.health.examiner import OVERFLOWS_ALLOWED, Examiner
from keras_activations.health.finding import RULES
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.readout import Fault
from keras_activations.telemetry.stats import LayerStats, WeightStats, Window

# `plain` has no weights; `unused` has some that no gradient reached.
LAYOUT = Layout(
    tuple(
        LayerEntry(path, None, None, False, 1, True)
        for path in ("first", "plain", "sqrt", "second", "unused", "last")
    ),
    tuple(
        WeightEntry(f"{layer}/kernel", layer)
        for layer in ("first", "second", "last", "model")
    ),
)


def examiner(rule_list=None, **options):
    rule_list = rules.default_rules() if rule_list is None else rule_list
    return Examiner(rule_list, {rule: f"do {rule}" for rule in RULES}, **options)


def fault(step, where="output", path="first", later=()):
    return Fault(step, where, path, 1, 0, 0, later)


def told(judge, steps, **kwargs):
    """The steps, of those that were not finite, which gave a finding."""
    findings = [judge.judge_fault(fault(s, **kwargs), LAYOUT, s, 0) for s in steps]
    return [finding.step for found in findings for finding in found]


def test_a_lasting_fault_is_told_once():
    assert told(examiner(), range(1, 9)) == [1]
    assert told(examiner(), range(5, 9)) == [5]


def test_a_fault_that_comes_and_goes_is_told_once():
    assert told(examiner(), [3, 4, 6, 7, 20, 50, 81, 90]) == [3, 81]


def test_a_fault_in_another_place_is_told_after_a_good_step():
    judge = examiner()
    assert told(judge, [3, 4]) == [3]
    assert told(judge, [5], path="second") == []  # it has spread
    assert told(judge, [7], path="last") == [7]
    judge.begin_anew()  # a rescue has changed the weights
    assert told(judge, [9], path="last") == [9]


def test_a_fault_seen_over_several_steps_lasts_to_the_last_of_them():
    # With steps_per_execution=4 the first bad step is 2, and it is judged at 4.
    judge = examiner()
    assert [f.step for f in judge.judge_fault(fault(2), LAYOUT, 4, 0)] == [2]
    assert judge.judge_fault(fault(5), LAYOUT, 8, 0) == []
    assert judge.judge_fault(fault(38), LAYOUT, 40, 0) == []  # 30 after the last
    assert [f.step for f in judge.judge_fault(fault(71), LAYOUT, 72, 0)] == [71]


def test_a_finding_carries_the_epoch_and_the_action():
    [finding] = examiner().judge_fault(fault(3), LAYOUT, 3, 2)
    assert (finding.epoch, finding.action) == (2, "do nonfinite")


def test_without_the_rule_nothing_is_told():
    judge = examiner([rules.Saturation(), rules.DeadUnits()])
    assert told(judge, [1, 2]) == []
    assert judge.judge_dropped(window(1e9), 1e8) == []
    assert examiner([]).judge_window(window(1e9)) == []


@pytest.mark.parametrize("where", ["output", "loss"])
def test_loss_scaling_does_not_excuse_the_forward_pass(where):
    assert told(examiner(loss_scaling=True), [1, 2], where=where) == [1]


def test_loss_scaling_may_overflow_for_a_while():
    overflow = {"where": "gradient", "path": "first/kernel"}
    steps = range(1, OVERFLOWS_ALLOWED + 5)

    assert told(examiner(loss_scaling=True), steps, **overflow) == [OVERFLOWS_ALLOWED]
    assert told(examiner(), steps, **overflow) == [1]
    # One now and then, as the scale grows back, is part of the game.
    judge = examiner(loss_scaling=True)
    assert told(judge, range(1, 200, 2), **overflow) == []
    assert told(judge, [*range(201, 215), *range(301, 315)], **overflow) == []


@pytest.mark.parametrize(
    ("path", "layer", "words"),
    [
        ("first/kernel", "first", "between here and second (look at plain, sqrt)"),
        ("second/kernel", "second", "between here and last (look at unused)"),
        ("last/kernel", "last", "gradient of last/kernel has 1 NaN value;"),
        ("model/kernel", "model", "gradient of model/kernel has 1 NaN value;"),
    ],
)
def test_where_a_gradient_goes_bad(path, layer, words):
    [finding] = examiner().judge_fault(fault(1, "gradient", path), LAYOUT, 1, 0)
    assert finding.layer == layer
    assert words in finding.message


def window(norm=1.0, saturation=0.0, dead=(0, 0), step=1):
    stats = LayerStats(
        "first",
        activation="tanh",
        saturation_low=0.0,
        saturation_high=saturation,
        units=2,
        dead=np.array(dead, bool),
        weights=(WeightStats("first/kernel", norm),),
    )
    return Window(step, 0, 1, {"first": stats})


def test_windows_go_through_all_rules_with_a_state_each():
    judge = examiner([rules.Saturation(patience=2), rules.DeadUnits(patience=3)])
    sick = {"saturation": 1.0, "dead": (1, 1)}

    found = [judge.judge_window(window(step=s, **sick)) for s in range(1, 6)]

    assert [[f.rule for f in findings] for findings in found] == [
        *([], ["saturation"], ["dead_units"], [], [])
    ]
    assert found[1][0].action == "do saturation"
    assert found[2][0].step == 3


def test_dropped_updates_belong_to_the_exploding_gradient():
    judge = examiner()

    [finding] = judge.judge_dropped(window(1e9, step=4), 1e8)

    assert (finding.rule, finding.step) == ("exploding_gradient", 4)
    assert finding.action == "do exploding_gradient"
    assert judge.judge_window(window(2e8)) == []  # told already
    assert judge.judge_window(window(1.0)) == []
    assert [f.value for f in judge.judge_window(window(2e8))] == [2e8]
