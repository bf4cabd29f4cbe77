"""One illness is told once: across layers, rules and windows."""

import dataclasses

import pytest

from keras_activations.health import rules
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import RULES
from keras_activations.telemetry.layouts import LayerEntry, Layout
from keras_activations.telemetry.readout import Fault
from keras_activations.telemetry.stats import ValueStats
from tests.health.windows import dead, kernel, network, norms, saturated

RAW = ValueStats(mean=5.0, std=6.0, min=0.0, max=16.0)


def run(windows, rule_list=None, **actions):
    """Pairs of rule and layer told in each window, and the findings."""
    rule_list = rule_list or rules.default_rules()
    judge = Examiner(rule_list, {rule: "warn" for rule in RULES} | actions)
    told, findings = [], []
    for step, layers in enumerate(windows, 1):
        facts = layers.pop() if isinstance(layers[-1], dict) else {}
        found = judge.judge_window(network(*layers, step=step, **facts))
        told.append([(finding.rule, finding.layer) for finding in found])
        findings += found
    return told, findings


def with_norm(stats, norm):
    weights = norms(x=norm)[0].weights
    return dataclasses.replace(stats, weights=weights)


def flat(path, norm=1.0, share=0.9):
    return with_norm(saturated(path, share), norm)


def silent(path, norm=1.0):
    return with_norm(dead(path, 1, 1, 1, 1), norm)


@pytest.mark.parametrize("ill", [flat, silent])
def test_gradients_that_vanish_in_an_ill_layer_are_its_illness(ill):
    told, [finding] = run([[ill("a", 1e-9), ill("b"), *norms(c=1.0)]] * 6)
    assert told[2] == [(finding.rule, "a")]
    assert finding.rule in ("saturation", "dead_units")


HASTY = [rules.Saturation(patience=4), rules.VanishingGradient(patience=2)]
BOTH = [flat("a", 1e-9), *norms(b=1.0)]
LOST = [flat("a", 1e-9, share=0.1), *norms(b=1.0)]


def test_they_wait_for_a_layer_that_is_falling_ill():
    told, _ = run([BOTH] * 7, HASTY)
    assert told == [[], [], [], [("saturation", "a")], [], [], []]


def test_they_are_told_when_that_layer_recovers():
    told, _ = run([BOTH, BOTH, LOST, LOST], HASTY)
    assert told == [[], [], [("vanishing_gradient", "a")], []]


def test_they_do_not_wait_for_a_layer_that_fell_ill_later():
    told, _ = run([LOST, BOTH, BOTH], HASTY)
    assert told == [[], [("vanishing_gradient", "a")], []]


def test_a_vanishing_gradient_alone_is_told():
    told, _ = run([norms(a=1e-9, b=1.0)] * 5)
    assert told == [[], [], [("vanishing_gradient", "a")], [], []]


def test_an_illness_that_spreads_is_told_once():
    first, more = [flat("a", share=0.1), flat("b")], [flat("a"), flat("b")]
    told, _ = run([*[first] * 3, *[more] * 4])
    assert [found for found in told if found] == [[("saturation", "b")]]


def test_the_root_is_the_first_ill_layer_although_it_fell_ill_later():
    first, more = [flat("a", share=0.1), flat("b")], [flat("a"), flat("b")]
    told, [finding] = run([first, first, more])
    assert told[2] == [("saturation", "a")]
    assert "the same holds for one more layer: b." in finding.message


def test_after_recovery_it_is_told_again():
    ill, well = [flat("a")], [flat("a", share=0.1)]
    told, _ = run([*[ill] * 4, *[well] * 3, *[ill] * 4])
    assert [i for i, found in enumerate(told) if found] == [2, 9]


def test_a_better_window_is_no_recovery_unless_something_was_done():
    ill, well = [flat("a")], [flat("a", share=0.1)]
    windows = [*[ill] * 4, well, *[ill] * 4]
    told, _ = run(windows)
    assert [i for i, found in enumerate(told) if found] == [2]
    told, _ = run(windows, saturation="rescue")
    assert [i for i, found in enumerate(told) if found] == [2, 7]


def test_what_an_explosion_leaves_behind_is_its_illness():
    usual = [flat("a", share=0.1), with_norm(dead("b", 0, 0, 0, 0), 1.0)]
    blast = [flat("a", 1e9), silent("b", 1e9)]
    after = [flat("a"), silent("b")]
    told, _ = run([*[usual] * 3, blast, *[after] * 6])
    assert [found for found in told if found] == [[("exploding_gradient", "a")]]


def test_findings_of_one_cause_are_one_illness():
    layers = [
        kernel("a", activation="tanh", saturation_low=0.4, saturation_high=0.4),
        dataclasses.replace(kernel("b"), units=4, dead=dead("b", 1, 1, 1, 1).dead),
    ]
    told, [finding] = run([[*layers, {"inputs": RAW}] for _ in range(5)])
    assert told[2] == [("saturation", "a")]
    assert "; with it comes dead units in b." in finding.message


def test_two_illnesses_of_unknown_cause_are_told_apart():
    told, _ = run([[flat("a"), silent("b")]] * 5)
    assert told[2] == [("saturation", "a"), ("dead_units", "b")]


def test_a_mild_action_does_not_hold_back_another():
    window = [silent("a", 1e-9), silent("b"), *norms(c=1.0)]
    told, _ = run([window] * 5, vanishing_gradient="stop")
    assert told[2] == [("dead_units", "a"), ("vanishing_gradient", "a")]
    told, _ = run([window] * 5, vanishing_gradient="stop", dead_units="stop")
    assert told[2] == [("dead_units", "a")]


def test_an_ignored_illness_hides_no_other():
    window = [silent("a", 1e-9), silent("b"), *norms(c=1.0)]
    told, _ = run([window] * 5, dead_units="ignore")
    assert told[2] == [("dead_units", "a"), ("vanishing_gradient", "a")]


@pytest.mark.parametrize("ill", [flat, silent])
@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([2.0, 1.5, 1.1, 0.9, 0.5], []),
        ([2.0, 1.9, 1.3, 0.9, 0.5], [2]),
        ([2.0, 1.5, 1.1, 1.3, 0.9], [3]),  # put off until it no longer learns
        ([None] * 5, [2]),
        ([-5.0, -6.0, -7.0, -8.0, -9.0], [2]),  # no share of it says anything
    ],
)
def test_a_layer_with_nothing_wrong_in_a_run_that_learns_is_harmless(ill, losses, told):
    windows = [[ill("a"), {"loss": loss}] for loss in losses]
    assert [i for i, found in enumerate(run(windows)[0]) if found] == told


def test_a_sparse_layer_is_harmless_while_the_loss_falls():
    losses = [2.3, 2.25, 2.15, 2.0, 1.9, 1.9, 2.1]

    def told(left):
        layer = with_norm(dead("a", *[1] * 60, *[0] * left), 1.0)
        return run([[layer, {"loss": loss}] for loss in losses])[0]

    assert [i for i, found in enumerate(told(left=20)) if found] == [6]
    assert [i for i, found in enumerate(told(left=10)) if found] == [2]


def test_nor_does_a_high_rate_harm_a_run_that_learns():
    flat_sides = {"saturation_low": 0.4, "saturation_high": 0.4}
    layer = kernel("a", update=0.4, activation="tanh", **flat_sides)
    quick, slow = [2.0, 1.5, 1.1, 0.9, 0.5], [2.0, 1.9, 1.8, 1.7, 1.6]
    for losses, expected in ((quick, []), (slow, [("saturation", "a")])):
        windows = [[layer, {"loss": loss}] for loss in losses]
        assert run(windows, [rules.Saturation()])[0][2] == expected


def test_another_cause_is_told_however_well_the_run_learns():
    layer = kernel("a", activation="tanh", saturation_low=0.4, saturation_high=0.4)
    windows = [[layer, {"inputs": RAW, "loss": 2.0 / n**2}] for n in range(1, 6)]
    assert run(windows)[0][2] == [("saturation", "a")]


def test_rules_of_ones_own_need_no_more_than_judge():
    class Own:
        name = "saturation"

        def judge(self, window, state):
            _, streaks = rules.Saturation(patience=1).judge(window, None)
            return rules.Saturation(patience=1).judge(window, None)[0], streaks.ill

    told, _ = run([[flat("a")]] * 2, [Own(), rules.VanishingGradient()])
    assert told[0] == [("saturation", "a")]


def test_after_a_nan_nothing_else_is_judged():
    judge = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    layout = Layout((LayerEntry("a", None, None, False, 1, True),), ())
    for step in range(1, 8):
        judge.judge_fault(Fault(step, "output", "a", 1, 0, 0, ()), layout, step, 0)
        assert judge.judge_window(network(silent("a"), step=step)) == []
    # Where the bad updates are held back, the run goes on.
    found = [judge.judge_window(network(silent("a"), step=s)) for s in range(8, 12)]
    assert [f.rule for findings in found for f in findings] == ["dead_units"]
