"""Exploding gradients, judged in made-up windows."""

import math

import pytest

from keras_activations.health import rules
from keras_activations.telemetry.stats import LayerStats, WeightStats
from tests.health.windows import assert_one_sentence, kernel, norms, run, window


def explosions(rule, history):
    return [
        i
        for i, found in enumerate(run(rule, [norms(a=n) for n in history])[0])
        if found
    ]


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param([1, 1, 1, 101], [3], id="a leap"),
        pytest.param([1, 1, 1, 100], [], id="at the threshold"),
        pytest.param([1, 1, 1, 101, 1e4, 500], [3], id="told once"),
        pytest.param([1, 1, 1, 101, 1, 101], [3, 5], id="again after recovery"),
        pytest.param([1, 1, 101], [], id="no history yet"),
        pytest.param([2e8], [0], id="never sane"),
        pytest.param([0.01] * 5 + [50], [], id="small all the same"),
        pytest.param([1, 3, 10, 30, 100, 300, 1000, 3000], [], id="slow growth"),
        pytest.param([1e7] * 3 + [2e8], [3], id="above any limit"),
        pytest.param([math.inf], [0], id="infinite"),
        pytest.param([0, 0, 0, 0, 101], [4], id="from nothing"),
    ],
)
def test_exploding_gradient(history, found):
    rule = rules.ExplodingGradient(factor=100, floor=100, limit=1e8)
    assert explosions(rule, history) == found


def test_exploding_gradient_forgets_old_windows():
    # Of [1] * 10 + [50] * 4 the last four have the median 50.
    history = [1] * 10 + [50] * 4 + [2000]
    assert explosions(rules.ExplodingGradient(factor=100, history=20), history) == [14]
    assert explosions(rules.ExplodingGradient(factor=100, history=4), history) == []


def test_explosions_are_no_history():
    history = [1, 1, 1] + [1e6] * 20 + [1, 1e6]
    assert explosions(rules.ExplodingGradient(history=3), history) == [3, 24]


def test_exploding_gradient_names_the_greatest_share():
    rule = rules.ExplodingGradient()
    layers, [finding] = run(rule, [norms(a=1, b=1)] * 3 + [norms(a=3e3, b=4e3)])
    assert layers[3] == ["b"]
    assert (finding.rule, finding.value) == ("exploding_gradient", pytest.approx(5e3))
    assert finding.threshold == pytest.approx(100 * math.sqrt(2))
    assert_one_sentence(finding, "5.0e+03", "global_clipnorm")


def test_exploding_gradient_without_gradients():
    rule = rules.ExplodingGradient()
    assert run(rule, [[LayerStats("a")], []])[1] == []
    assert rule.judge_dropped(window(LayerStats("a")), None, 1e8)[0] == []


def test_every_dropped_update_is_a_finding_and_no_history():
    rule = rules.ExplodingGradient()
    _, state = rule.judge(window(*norms(a=1.0)), None)
    for _ in range(3):
        [finding], state = rule.judge_dropped(window(*norms(a=1e9)), state, 1e8)
        assert (finding.layer, finding.value) == ("a", 1e9)
    for _ in range(2):
        _, state = rule.judge(window(*norms(a=1.0)), state)
    [finding], _ = rule.judge(window(*norms(a=101.0)), state)
    assert finding.threshold == 100.0


def test_gradients_that_are_not_finite_are_another_rules():
    sick = WeightStats("a/kernel", 1e9, gradient_nan_count=1)
    layers = [LayerStats("a", weights=(sick,)), *norms(b=1e-9, c=1.0)]
    assert run(rules.ExplodingGradient(), [layers])[0] == [[]]


@pytest.mark.parametrize(("update", "found"), [(1.4, []), (1.5, ["b"]), (1e6, ["b"])])
def test_an_update_that_overwrites_the_weights_is_an_explosion_at_once(update, found):
    # The kernels have 0.7 times the size that He gives: 1 / 0.7 of it is the limit.
    layers = [kernel("a"), kernel("b", update=update)]
    assert run(rules.ExplodingGradient(), [layers])[0] == [found]


def test_the_update_is_held_against_usual_weights_not_against_these():
    tiny = kernel("a", size=1e-6, update=100.0)
    assert run(rules.ExplodingGradient(), [[tiny]])[0] == [[]]


def test_what_an_update_is_called():
    _, [finding] = run(rules.ExplodingGradient(), [[kernel("a", update=10.0)]])
    assert (finding.value, finding.threshold) == (pytest.approx(7.0), 1.0)
    assert_one_sentence(finding, "by 7 times their usual size", "learning rate")
