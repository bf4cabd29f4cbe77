"""Vanishing gradients, judged in made-up windows."""

import dataclasses
import math

import pytest

from keras_activations.health import rules
from keras_activations.telemetry.stats import LayerStats, WeightStats
from tests.health.windows import assert_one_sentence, norms, run


def test_vanishing_gradient_is_held_against_the_greatest():
    rule = rules.VanishingGradient(ratio=1e-3, patience=1)
    layers, [finding] = run(rule, [norms(a=5e-4, b=2e-3, c=1.0)])
    assert layers == [["a"]]
    assert (finding.rule, finding.value) == ("vanishing_gradient", pytest.approx(5e-4))
    assert finding.threshold == 1e-3
    assert_one_sentence(finding, "5.0e-04", "skip connections")


@pytest.mark.parametrize(
    "gradients",
    [
        {"a": 1e-9},  # nothing to compare with but itself
        {"a": 1e-9, "b": 1e-9},
        {"a": 0.0, "b": 0.0},
        {"a": 1e-3, "b": 1.0},  # the threshold itself is fine
        {"a": 1.0, "b": math.inf},
        {"a": 1.0, "b": None},
        {},
    ],
)
def test_no_vanishing_gradient(gradients):
    rule = rules.VanishingGradient(ratio=1e-3, patience=1)
    assert run(rule, [norms(**gradients)])[0] == [[]]


def test_a_branch_that_was_not_taken_is_none():
    rule = rules.VanishingGradient(ratio=1e-3, patience=1)
    assert run(rule, [norms(gate=0.1, expert1=0.0, expert2=0.5, head=1.0)])[0] == [[]]
    # Not so what is only small, nor all up to a layer that lets nothing through.
    assert run(rule, [norms(gate=0.1, query=1e-9, head=1.0)])[0] == [["query"]]
    assert run(rule, [norms(first=0.0, second=0.0, head=1.0)])[0] == [["first"]]


def test_queries_and_keys_of_an_attention_that_learns_are_none():
    rule = rules.VanishingGradient(ratio=1e-3, patience=1)
    parts = {"mha/query": 1e-6, "mha/key": 1e-7, "mha/value": 0.5, "head": 1.0}
    assert run(rule, [norms(**parts)])[0] == [[]]
    # What does not learn either is the reason, and is told.
    lost = parts | {"mha/value": 1e-6}
    assert run(rule, [norms(**lost)])[0] == [["mha/query"]]
    # A layer of that name elsewhere is like any other.
    assert run(rule, [norms(**{"key": 1e-6, "head": 1.0})])[0] == [["key"]]


def test_no_other_activation_is_advised_where_it_is_like_relu():
    rule = rules.VanishingGradient(patience=1)
    for activation, advised in ((None, True), ("tanh", True), ("relu", False)):
        [first, head] = norms(a=1e-9, b=1.0)
        shares = {"saturation_low": 0.1, "saturation_high": 0.0}
        facts = {"activation": activation, **(shares if activation == "tanh" else {})}
        _, [finding] = run(rule, [[dataclasses.replace(first, **facts), head]])
        assert ("ReLU-like" in finding.message) == advised


def test_vanishing_gradient_patience_and_recovery():
    ill, well = norms(a=0.0, b=1.0), norms(a=0.5, b=1.0)
    layers, _ = run(rules.VanishingGradient(patience=2), [ill] * 3 + [well] + [ill] * 3)
    assert [i for i, found in enumerate(layers) if found] == [1, 5]


def test_gradients_that_are_not_finite_are_another_rules():
    sick = WeightStats("a/kernel", 1e9, gradient_nan_count=1)
    layers = [LayerStats("a", weights=(sick,)), *norms(b=1e-9, c=1.0)]
    assert run(rules.VanishingGradient(patience=1), [layers])[0] == [["b"]]


@pytest.mark.parametrize(("ratio", "found"), [(0.0, [1]), (9e-7, [1]), (1e-5, [2])])
def test_a_gradient_wholly_lost_needs_two_windows_far_apart(ratio, found):
    windows = [norms(a=ratio, b=1.0)] * 3
    layers, _ = run(rules.VanishingGradient(), windows, (1, 51, 101))
    assert [i for i, told in enumerate(layers) if told] == found
