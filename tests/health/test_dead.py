"""Dead units, judged in made-up windows."""

import pytest

from keras_activations.health import rules
from keras_activations.telemetry.stats import LayerStats
from tests.health.windows import assert_one_sentence, dead, run


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


@pytest.mark.parametrize(
    ("before", "now", "steps", "found"),
    [
        ((1, 1), (1, 1), (1, 31), [1]),
        ((1, 1), (1, 1), (1, 30), []),
        ((0, 1), (1, 1), (1, 31), []),
        ((1, 1), (0, 1), (1, 31), []),
    ],
)
def test_a_dead_layer_needs_two_windows_far_apart(before, now, steps, found):
    layers, _ = run(rules.DeadUnits(), [[dead("a", *before)], [dead("a", *now)]], steps)
    assert [i for i, told in enumerate(layers) if told] == found


def units(count, of=20):
    return [dead("a", *[1] * count, *[0] * (of - count))]


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([16, 15, 14, 13, 12, 12, 12], [5]),  # they have stopped coming alive
        ([16, 15, 14, 13, 12, 11, 9], []),
        ([15, 15, 14, 14], [2]),  # that is no recovery
        ([12, 13, 14, 15], [2]),
    ],
)
def test_units_that_come_alive_are_waited_for(counts, found):
    layers, _ = run(rules.DeadUnits(), [units(n) for n in counts])
    assert [i for i, told in enumerate(layers) if told] == found
