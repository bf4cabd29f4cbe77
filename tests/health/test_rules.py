"""Each rule as a pure function of made-up windows."""

import math

import numpy as np
import pytest

from keras_activations.health import rules
from keras_activations.health.finding import RULES
from keras_activations.telemetry.readout import Fault
from keras_activations.telemetry.stats import LayerStats, WeightStats, Window


def window(*layers, step=1):
    return Window(step, 0, 1, {stats.path: stats for stats in layers})


def saturated(path, share, low=0.0, **more):
    more = {"activation": "tanh", **more}
    return LayerStats(path, saturation_low=low, saturation_high=share - low, **more)


def dead(path, *units):
    return LayerStats(path, units=len(units), dead=np.array(units, bool))


def norms(**gradients):
    return [
        LayerStats(path, weights=(WeightStats(f"{path}/kernel", norm),))
        for path, norm in gradients.items()
    ]


def run(rule, windows):
    """The findings of each window, as lists of layers, and all findings."""
    state, found = None, []
    for step, layers in enumerate(windows, start=1):
        findings, state = rule.judge(window(*layers, step=step), state)
        found.append(findings)
    layers = [[finding.layer for finding in findings] for findings in found]
    return layers, [finding for findings in found for finding in findings]


def assert_one_sentence(finding, *advice):
    message = finding.message
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message
    for words in advice:
        assert words in message


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


# Vanishing gradients


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


def test_vanishing_gradient_patience_and_recovery():
    ill, well = norms(a=0.0, b=1.0), norms(a=0.5, b=1.0)
    layers, _ = run(rules.VanishingGradient(patience=2), [ill] * 3 + [well] + [ill] * 3)
    assert [i for i, found in enumerate(layers) if found] == [1, 5]


# Exploding gradients


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
    assert run(rules.VanishingGradient(patience=1), [layers])[0] == [["b"]]


# Non-finite values


@pytest.mark.parametrize(
    ("where", "nan", "inf", "batch", "between", "words"),
    [
        ("output", 1, 0, 0, (), ["the output has 1 NaN value,", "learning rate"]),
        ("output", 0, 2, 0, (), ["the output has 2 infinite values,"]),
        ("output", 3, 2, 0, (), ["3 NaN and 2 infinite values"]),
        ("output", 3, 0, 4, (), ["the batch itself already holds 4", "missing values"]),
        ("loss", 1, 0, 0, (), ["every output is finite, but the loss", "logits"]),
        (
            "gradient",
            1,
            0,
            0,
            (),
            ["the gradient of a/kernel has 1 NaN", "square root"],
        ),
        ("gradient", 1, 0, 0, ("b",), ["between here and b;"]),
        ("gradient", 1, 0, 0, ("b", "c"), ["between here and c (look at b)"]),
        ("batch", 1, 0, 1, (), ["the batch", "missing values"]),
    ],
)
def test_nonfinite_message(where, nan, inf, batch, between, words):
    path = "a/kernel" if where == "gradient" else "a"
    fault = Fault(9, where, path, nan, inf, batch, ())
    finding = rules.NonFinite().judge_fault(fault, "a", 2, between)
    assert (finding.step, finding.epoch, finding.layer) == (9, 2, "a")
    assert (finding.rule, finding.value, finding.threshold) == (
        "nonfinite",
        nan + inf,
        0,
    )
    assert_one_sentence(finding, *words)


def test_nonfinite_finds_nothing_in_windows():
    ill = LayerStats("a", nan_count=5)
    assert rules.NonFinite().judge(window(ill), None) == ([], None)


# Options


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
    ],
)
def test_options_out_of_range(kind, option, values):
    for value in values:
        with pytest.raises(ValueError, match=f"`{option}` must .*Received: .*{value}"):
            kind(**{option: value})
