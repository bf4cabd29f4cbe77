"""Saturation, judged in made-up windows."""

import math

import numpy as np
import pytest

from keras_activations.health import rules
from keras_activations.telemetry.stats import LayerStats, ValueStats
from tests.health.windows import assert_one_sentence, network, run, saturated

# Saturation

ILL = [saturated("a", 0.9, low=0.5)]
WELL = [saturated("a", 0.1)]


def test_saturation_is_the_sum_of_both_sides():
    _, [finding] = run(rules.Saturation(patience=1), [ILL])
    assert (finding.rule, finding.step, finding.layer) == ("saturation", 1, "a")
    assert (finding.value, finding.threshold) == (pytest.approx(0.9), 0.7)
    assert_one_sentence(finding, "90%", "tanh", "smaller weights")


@pytest.mark.parametrize(("share", "found"), [(0.5, []), (0.51, ["a"]), (1.0, ["a"])])
def test_saturation_threshold(share, found):
    assert run(rules.Saturation(0.5, 1), [[saturated("a", share)]])[0] == [found]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_saturation_takes_patience_and_is_told_once(patience):
    layers, _ = run(rules.Saturation(patience=patience), [ILL] * 6)
    told = [[]] * (patience - 1) + [["a"]] + [[]] * (6 - patience)
    assert layers == told


def test_saturation_again_only_after_recovery():
    rule = rules.Saturation(patience=2)
    windows = [ILL, ILL, ILL, WELL, ILL, ILL, WELL, ILL, WELL, ILL]
    layers, _ = run(rule, windows)
    assert [i for i, found in enumerate(layers) if found] == [1, 5]


@pytest.mark.parametrize("absent", [[], [saturated("b", 0.0)], [LayerStats("a")]])
def test_a_window_without_the_layer_is_no_recovery(absent):
    # A layer may run in some training steps only.
    layers, _ = run(rules.Saturation(patience=2), [ILL, absent, ILL, absent, ILL])
    assert [i for i, found in enumerate(layers) if found] == [2]


def test_saturation_blames_the_first_layer_and_names_the_others():
    sick = [saturated(name, 0.9) for name in "abcdef"]
    layers, [finding] = run(rules.Saturation(patience=1), [sick])
    assert layers == [["a"]]
    assert "the same holds for 5 more layers: b, c, d, ..." in finding.message
    assert_one_sentence(finding)

    # A layer that falls ill later is a finding of its own.
    layers, _ = run(rules.Saturation(patience=1), [sick[1:], sick])
    assert layers == [["b"], ["a"]]


def test_saturation_leaves_out_output_layers_and_unknown_activations():
    layers = [saturated("softmax", 1.0, is_output=True), LayerStats("linear")]
    assert run(rules.Saturation(patience=1), [layers])[0] == [[]]


@pytest.mark.parametrize(
    ("share", "steps", "found"),
    [
        (0.96, (1, 31), [1]),
        (0.96, (1, 30, 31), [2]),
        (0.95, (1, 51, 101), [2]),
        (0.96, (1, 6, 11), [2]),
    ],
)
def test_an_extreme_share_needs_two_windows_far_apart(share, steps, found):
    windows = [[saturated("a", share)]] * len(steps)
    layers, _ = run(rules.Saturation(), windows, steps)
    assert [i for i, told in enumerate(layers) if told] == found


@pytest.mark.parametrize(
    ("shares", "found"),
    [
        ([0.94, 0.88, 0.82, 0.77, 0.76, 0.75], [4]),
        ([0.94, 0.88, 0.82, 0.76, 0.71, 0.65], []),
        ([0.94, 0.92, 0.90], [2]),
    ],
)
def test_a_layer_that_grows_less_saturated_is_waited_for(shares, found):
    layers, _ = run(rules.Saturation(), [[saturated("a", s)] for s in shares])
    assert [i for i, told in enumerate(layers) if told] == found


@pytest.mark.parametrize(
    ("size", "shares", "found"),
    [
        (30.0, [0.96], [0]),
        (10.0, [0.96, 0.96], []),
        (30.0, [0.94, 0.94], []),
        (30.0, [0.5, 0.96], []),  # it came with training
    ],
)
def test_what_raw_inputs_flatten_from_the_start_is_found_at_once(size, shares, found):
    rule, state, told = rules.Saturation(), None, []
    inputs = ValueStats(0.0, size, -size, size)
    for step, share in enumerate(shares, start=1):
        window = network(saturated("a", share), inputs=inputs, step=step)
        findings, state = rule.judge(window, state)
        told.append(findings)
    assert [i for i, findings in enumerate(told) if findings] == found


# Outputs of the model


@pytest.mark.parametrize(
    ("top", "zeros", "found"),
    [
        (0.45, 0.5, True),
        (0.3, 0.65, True),
        (0.2, 0.75, False),  # sparse, and a few at the top
        (0.4, 0.45, False),  # enough are left in between
    ],
)
def test_outputs_at_the_floor_count_where_nearly_all_others_are_at_the_top(
    top, zeros, found
):
    facts = {"activation": "relu6", "zero_fraction": zeros}
    layer = saturated("a", top, **facts, units=2, dead=np.zeros(2, bool))
    _, findings = run(rules.Saturation(), [[layer]] * 3)
    assert bool(findings) == found
    if found:
        assert findings[0].value == pytest.approx(top + zeros)
        assert_one_sentence(findings[0], "saturated or at the floor", "relu6")


def test_without_a_floor_zeros_are_no_saturation():
    layer = saturated("a", 0.45, zero_fraction=0.5)
    assert run(rules.Saturation(), [[layer]] * 3) == ([[], [], []], [])


def found_at_output(targets, limits=(-1.0, 1.0), outputs=1):
    layers = [
        saturated(f"out{i}", 1.0, is_output=True, limits=limits) for i in range(outputs)
    ]
    rule, state, found = rules.Saturation(), None, []
    for step in range(1, 4):
        window = network(*layers, targets=targets, step=step)
        findings, state = rule.judge(window, state)
        found.append(findings)
    assert found[1:] == [[], []]  # at once, or never
    return found[0]


@pytest.mark.parametrize(
    ("mean", "std", "far", "limit"),
    [(100.0, 30.0, 130.0, 1.0), (-3.0, 0.5, -3.5, -1.0), (0.1, 2.0, 2.1, 1.0)],
)
def test_an_output_whose_targets_are_out_of_reach_is_ill(mean, std, far, limit):
    targets = ValueStats(mean, std, mean - 2 * std, mean + 2 * std)
    [finding] = found_at_output(targets)
    assert (finding.layer, finding.value, finding.threshold) == ("out0", far, limit)
    assert_one_sentence(finding, "the tanh gives -1 to 1", "make the output linear")


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        (ValueStats(0.0, 1.0, -2.0, 3.0), True),  # standardised
        (ValueStats(-50.0, 9.0, -80.0, -10.0), True),
        (ValueStats(3.0, 2.0, 0.0, 9.0), False),  # counts
        (ValueStats(0.5, 4.0, 0.0, 99.0), False),  # mostly 0
        (ValueStats(2.0, 1.0, -1.0, 5.0), False),  # a few are below
    ],
)
def test_an_output_with_a_floor_and_targets_below_it(targets, found):
    findings = found_at_output(targets, limits=(0.0, math.inf))
    assert bool(findings) == found
    if found:
        assert findings[0].threshold == 0.0
        assert_one_sentence(findings[0], "gives 0 to inf", "make the output linear")


@pytest.mark.parametrize(
    "facts",
    [
        {"targets": ValueStats(0.5, 0.5, 0.0, 1.0), "limits": (0.0, 1.0)},
        {"targets": ValueStats(0.0, 0.9, -1.0, 3.0)},  # a few outliers
        {"targets": ValueStats(50.0, 9.0, 0.0, 99.0), "limits": None},
        {"targets": None},
        # Whose targets they are is not known.
        {"targets": ValueStats(50.0, 9.0, 0.0, 99.0), "outputs": 2},
    ],
)
def test_an_output_that_may_reach_its_targets_is_left_alone(facts):
    assert found_at_output(**facts) == []
