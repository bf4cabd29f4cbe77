"""Saturation and dead units, judged in made-up windows."""

import pytest

from keras_activations.health import rules
from keras_activations.telemetry.stats import LayerStats
from tests.health.windows import assert_one_sentence, dead, run, saturated

# Saturation

ILL = [saturated("a", 0.9, low=0.5)]
WELL = [saturated("a", 0.1)]


def test_saturation_is_the_sum_of_both_sides():
    _, [finding] = run(rules.Saturation(patience=1), [ILL])
    assert (finding.rule, finding.step, finding.layer) == ("saturation", 1, "a")
    assert (finding.value, finding.threshold) == (pytest.approx(0.9), 0.5)
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


# Dead units


def test_dead_units_counts_units_that_were_dead_all_along():
    rule = rules.DeadUnits(threshold=0.5, patience=2)
    # Half of the units in each window, but not the same ones.
    layers, _ = run(rule, [[dead("a", 1, 1, 1, 0)], [dead("a", 0, 0, 1, 1)]] * 3)
    assert layers == [[]] * 6

    layers, [finding] = run(rule, [[dead("a", 1, 1, 1, 0)], [dead("a", 1, 1, 1, 0)]])
    assert layers == [[], ["a"]]
    assert (finding.rule, finding.value) == ("dead_units", 0.75)
    assert finding.threshold == 0.5
    assert_one_sentence(finding, "75%", "4 units", "learning rate")


@pytest.mark.parametrize(
    ("units", "found"), [((1, 1, 0, 0), []), ((1, 1, 1, 0), ["a"]), ((1,), ["a"])]
)
def test_dead_units_threshold(units, found):
    assert run(rules.DeadUnits(0.5, 1), [[dead("a", *units)]])[0] == [found]


def test_dead_units_once_and_again_after_recovery():
    ill, well = [dead("a", 1, 1)], [dead("a", 0, 1)]
    layers, _ = run(rules.DeadUnits(patience=3), [ill] * 5 + [well] + [ill] * 4)
    assert [i for i, found in enumerate(layers) if found] == [2, 8]


def test_dead_units_of_a_layer_that_was_not_measured_are_no_recovery():
    ill = [dead("a", 1, 1)]
    layers, _ = run(rules.DeadUnits(patience=2), [ill, [], ill, [], ill])
    assert [i for i, found in enumerate(layers) if found] == [2]


def test_dead_units_blames_the_first_layer_and_passes_over_the_rest():
    sick = [LayerStats("tanh"), dead("a", 1, 1), dead("b", 0, 0), dead("c", 1, 1)]
    layers, [finding] = run(rules.DeadUnits(patience=1), [sick])
    assert layers == [["a"]]
    assert "; the same holds for one more layer: c." in finding.message
