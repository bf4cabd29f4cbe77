"""A closer look at runs that do not learn: mild illnesses with a plain cause."""

import pytest

from keras_activations.health import rules
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import RULES
from keras_activations.telemetry.stats import ValueStats
from tests.health.windows import assert_one_sentence, dead, kernel, network

FAR = ValueStats(mean=900.0, std=300.0, min=0.0, max=2e3)
RAW = ValueStats(mean=5.0, std=6.0, min=0.0, max=16.0)
TINY = ValueStats(mean=0.0, std=2e-6, min=-5e-6, max=5e-6)
MILD = {"activation": "tanh", "saturation_low": 0.2, "saturation_high": 0.3}
SOME_DEAD = {"units": 4, "dead": dead("a", 1, 1, 0, 0).dead}

LOST = kernel("a", size=0.01, grads=(7e-3, 1e-3)), kernel("b", size=0.01)
SATURATED = kernel("a", size=9.0, **MILD), kernel("b")
DEAD = kernel("a", bias=5.0, **SOME_DEAD), kernel("b")
STEEP = kernel("a", grads=(4e3, 9e2)), kernel("b")
THROWN = kernel("a", update=0.4), kernel("b")
FAINT = kernel("a", grads=(2e-7, 0.1)), kernel("b", grads=(0.3, 0.3))


def run(layers, losses, every=10, own=None, **facts):
    """The findings of a run whose windows have these losses."""
    own = rules.default_rules() if own is None else own
    examiner = Examiner(own, dict.fromkeys(RULES, "warn"))
    findings = []
    for number, loss in enumerate(losses):
        step = 1 + every * number
        window = network(*layers, loss=loss, step=step, **facts)
        findings += examiner.judge_window(window)
    return findings


@pytest.mark.parametrize(
    ("layers", "facts", "rule", "cause"),
    [
        (LOST, {}, "vanishing_gradient", "small_weights"),
        (SATURATED, {}, "saturation", "large_weights"),
        (DEAD, {}, "dead_units", "dead_bias"),
        (STEEP, {"targets": FAR}, "exploding_gradient", "unscaled_targets"),
        (THROWN, {}, "exploding_gradient", "learning_rate"),
        (FAINT, {"inputs": TINY}, "vanishing_gradient", "unscaled_inputs"),
    ],
)
def test_what_is_mild_is_found_where_the_loss_does_not_fall(layers, facts, rule, cause):
    [finding] = run(layers, [2.3] * 30, **facts)
    assert (finding.rule, finding.cause) == (rule, cause)
    assert finding.step == 101  # ten windows, and a hundred steps
    assert_one_sentence(finding, "the loss has hardly fallen since the start")
    assert "overwritten" not in finding.message


@pytest.mark.parametrize("now", [0.9, 0.1])
def test_units_that_are_alike(now):
    layers = kernel("a"), kernel("b", alike=0.9), kernel("c", alike=1.0)
    later = kernel("a"), kernel("b", alike=now), kernel("c", is_output=True)
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    found = []
    for number in range(30):  # slowly, as what is the same in all units is learnt
        window = network(
            *(later if number else layers),
            loss=2.3 * 0.995**number,
            step=1 + 10 * number,
        )
        found += examiner.judge_window(window)
    assert bool(found) == (now > 0.5)
    for finding in found:
        assert (finding.rule, finding.layer) == ("vanishing_gradient", "b")
        assert (finding.cause, finding.step) == ("alike_weights", 101)
        assert_one_sentence(finding, "its 50 units learn the same", "around 0")


@pytest.mark.parametrize("left", [0.1, 0.3])
def test_weights_that_wither_before_anything_is_learnt(left):
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    found = []
    for number in range(30):
        size = 0.7 * max(left, 0.8**number)
        layers = kernel("a", size=size), kernel("b", size=size)
        window = network(*layers, loss=2.3, step=1 + 10 * number)
        found += examiner.judge_window(window)
    assert bool(found) == (left < 0.2)
    for finding in found:
        assert (finding.rule, finding.cause) == ("vanishing_gradient", "weight_decay")
        assert finding.step == 101
        assert_one_sentence(
            finding, "hardly any signal is left", "lower the weight decay"
        )


OUTPUT = {"is_output": True, "activation": "softmax", "units": 10}


@pytest.mark.parametrize(
    ("output", "late", "found"),
    [
        (OUTPUT, 2.4, True),
        (OUTPUT, 2.0, False),
        (OUTPUT | {"units": 2}, 0.7, True),
        (OUTPUT | {"activation": None}, 2.4, False),  # the loss may be any
    ],
)
def test_what_is_no_better_than_a_guess_does_not_learn(output, late, found):
    losses = [300.0, 90.0, 20.0, *[late] * 27]
    steep = kernel("a", size=3.0, grads=(4e3, 9e2)), kernel("b", **output)
    findings = run(steep, losses)
    assert bool(findings) == found
    for finding in findings:
        assert (finding.rule, finding.cause) == ("exploding_gradient", "large_weights")
        assert_one_sentence(finding, "the outputs are no better than a guess")


@pytest.mark.parametrize(("alike", "causes"), [(0.1, []), (0.9, ["alike_weights"])])
def test_nor_does_what_is_on_its_way_to_one_where_units_are_alike(alike, causes):
    layers = kernel("a", alike=alike, grads=(4e3, 9e2)), kernel("b", **OUTPUT)
    findings = run(layers, [300 * 0.9**number for number in range(30)])
    assert [finding.cause for finding in findings] == causes


def test_a_gradient_lost_to_depth_needs_no_other_cause():
    depth = [kernel(f"d{i}", grads=(1e-4 * 8**i, 1e-5 * 8**i)) for i in range(5)]
    [finding] = run(depth, [2.3] * 30)
    assert (finding.rule, finding.layer) == ("vanishing_gradient", "d0")
    assert finding.cause == "unknown"
    assert not run(depth[1:], [2.3] * 30)


def test_nor_is_it_hidden_by_what_the_last_bias_learns():
    depth = [kernel(f"d{i}", grads=(1e-4 * 8**i, 1e-5 * 8**i)) for i in range(5)]
    [finding] = run(depth, [1.28, 1.26, 1.2, *[1.1] * 27])
    assert (finding.rule, finding.step) == ("vanishing_gradient", 101)
    assert not run(depth, [1.28, 1.26, 1.2, *[0.9] * 27])
    assert not run(SATURATED, [1.28, 1.26, 1.2, *[1.1] * 27])


RESTS = [0.36, 0.3, 0.2, *[0.07] * 27]
FALLS = [0.36, 0.3, *[0.2 * 0.9**number for number in range(28)]]


@pytest.mark.parametrize(
    ("first", "losses", "found"),
    [(1e-7, RESTS, True), (1e-2, RESTS, False), (1e-7, FALLS, False)],
)
def test_nor_by_what_the_last_layers_learn_where_the_first_never_did(
    first, losses, found
):
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    findings = []
    for number, loss in enumerate(losses):
        lost = kernel("a", grads=(1e-7 if number else first, 1e-8))
        window = network(
            lost, kernel("b", grads=(0.3, 0.3)), loss=loss, step=1 + 10 * number
        )
        findings += examiner.judge_window(window)
    assert bool(findings) == found
    for finding in findings:
        assert (finding.rule, finding.layer) == ("vanishing_gradient", "a")
        assert finding.step >= 101


@pytest.mark.parametrize("layers", [LOST, SATURATED, DEAD, THROWN])
def test_but_not_where_it_falls_or_is_unknown(layers):
    assert not run(layers, [2.3 * 0.98**number for number in range(30)])
    assert not run(layers, [None] * 30)


def test_nor_without_a_plain_cause():
    assert not run((kernel("a", **MILD), kernel("b")), [2.3] * 30)
    assert not run(STEEP, [2.3] * 30)


def test_nor_before_there_were_steps_enough():
    assert not run(SATURATED, [2.3] * 30, every=1)


def test_nor_where_the_run_goes_on_from_an_earlier_one():
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    examiner.restart(500)
    for number in range(30):
        window = network(*SATURATED, loss=0.1, step=501 + 10 * number)
        assert not examiner.judge_window(window)


def test_nor_where_it_came_later():
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    found = []
    for number in range(30):
        layers = SATURATED if number else (kernel("a", size=9.0), kernel("b"))
        window = network(*layers, loss=2.3, inputs=RAW, step=1 + 10 * number)
        found += examiner.judge_window(window)
    assert not found


def test_nor_one_long_step_from_a_plateau():
    examiner = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    found = []
    for number in range(30):
        layers = THROWN if number == 10 else (kernel("a"), kernel("b"))
        window = network(*layers, loss=2.3, step=1 + 10 * number)
        found += examiner.judge_window(window)
    assert not found


def test_thresholds_of_the_users_own_are_kept_to_in_proportion():
    own = [rules.Saturation(threshold=0.95)]
    assert not run(SATURATED, [2.3] * 30, own=own)
    [finding] = run(SATURATED, [2.3] * 30, own=[rules.Saturation(threshold=0.8)])
    assert finding.threshold == pytest.approx(0.8 * 4 / 7)
