"""The cause of a finding: one run made by hand for each that the data can tell."""

import dataclasses

import pytest

from keras_activations.health import rules
from keras_activations.health.causes import MEDICINES
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import CAUSES, RULES
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.readout import Fault
from keras_activations.telemetry.stats import LayerStats, ValueStats, WeightStats
from tests.health.windows import assert_one_sentence, dead, kernel, network

RAW = ValueStats(mean=5.0, std=6.0, min=0.0, max=16.0)
SCALED = ValueStats(mean=0.3, std=0.4, min=0.0, max=1.0)
FAR = ValueStats(mean=150.0, std=77.0, min=25.0, max=346.0)

FLAT = {"activation": "tanh", "saturation_low": 0.3, "saturation_high": 0.5}
FINE = {"activation": "tanh", "saturation_low": 0.0, "saturation_high": 0.1}


def examiner(**options):
    return Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"), **options)


def examined(*windows):
    """All findings of a run."""
    judge = examiner()
    findings = []
    for step, (layers, facts) in enumerate(windows, 1):
        findings += judge.judge_window(network(*layers, step=step, **facts))
    return findings


def lasting(*layers, **facts):
    return [(layers, facts)] * 4


def test_each_cause_has_a_medicine():
    assert {*MEDICINES, "bad_gradient", "unknown"} == set(CAUSES)


def test_unscaled_inputs():
    layers = kernel("a", **FLAT), kernel("b", **FLAT)
    [finding] = examined(*lasting(*layers, inputs=RAW))
    assert (finding.rule, finding.layer) == ("saturation", "a")
    assert finding.cause == "unscaled_inputs"
    assert finding.medicine == MEDICINES["unscaled_inputs"]
    assert finding.medicine in finding.message
    assert_one_sentence(
        finding, "not scaled (root mean square 7.8)", "one more layer: b"
    )


def test_unscaled_inputs_are_told_by_the_gradients_where_they_are_not_known():
    layers = kernel("a", grads=(70 * 7.0, 10.0), **FLAT), kernel("b")
    [finding] = examined(*lasting(*layers))
    assert finding.cause == "unscaled_inputs"
    assert "root mean square 6.9" in finding.message


@pytest.mark.parametrize(
    ("grads", "cause"),
    [((7e5, 100.0), "bad_data"), ((7e5, 1e5), "learning_rate")],
)
def test_rows_that_are_far_out_are_told_by_the_gradients(grads, cause):
    well = ([kernel("a", **FINE), kernel("b")], {"inputs": SCALED})
    ill = ([kernel("a", grads=grads, **FINE), kernel("b")], {"inputs": SCALED})
    epoch = [*[well] * 9, ill]
    finding, *again = examined(*epoch, *epoch)
    assert (finding.rule, finding.layer) == ("exploding_gradient", "a")
    assert finding.cause == cause
    assert len(again) == (cause != "bad_data")  # each epoch has these rows
    if cause == "bad_data":
        assert_one_sentence(finding, "rows that are far out", "far too large values")


def test_inputs_that_a_layer_in_front_scales_are_no_cause():
    layers = LayerStats("rescaling"), kernel("a", grads=(7.0, 1.0), **FLAT)
    raw = ValueStats(120.0, 80.0, 0.0, 255.0)
    [finding] = examined(*lasting(*layers, inputs=raw))
    assert finding.cause == "unknown"
    assert "normalise before this layer" in finding.message


def test_large_weights():
    layers = kernel("a", **FINE), kernel("b", size=6.0), LayerStats("tanh", **FLAT)
    [finding] = examined(*lasting(*layers, inputs=SCALED))
    assert (finding.layer, finding.cause) == ("tanh", "large_weights")
    assert_one_sentence(finding, "the weights of b start too large (6 times the usual)")


def test_alike_weights():
    layers = kernel("a"), kernel("b", alike=0.9, size=6.0), LayerStats("tanh", **FLAT)
    [finding] = examined(*lasting(*layers))
    assert (finding.layer, finding.cause) == ("tanh", "alike_weights")
    assert_one_sentence(finding, "the weights of b start alike", "draw them at random")


def test_weights_after_the_ill_layer_are_not_its_cause():
    layers = kernel("a", **FLAT), kernel("b", size=6.0)
    [finding] = examined(*lasting(*layers))
    assert finding.cause == "unknown"


@pytest.mark.parametrize(
    ("size", "cause"), [(3.0, "unscaled_inputs"), (20.0, "large_weights")]
)
def test_of_two_causes_the_one_further_from_the_usual(size, cause):
    [finding] = examined(*lasting(kernel("a", size=size, **FLAT), inputs=RAW))
    assert finding.cause == cause


def test_small_weights():
    layers = [
        kernel(f"d{i}", size=0.01, grads=(10.0 ** (i - 9),) * 2) for i in range(9)
    ]
    [finding] = examined(*lasting(*layers))
    assert finding.rule == "vanishing_gradient"
    assert finding.cause == "small_weights"
    assert_one_sentence(finding, "start too small", "skip connections")


def test_dead_bias():
    ill = dataclasses.replace(
        kernel("b", bias=5.0), **{"units": 4, "dead": dead("b", 1, 1, 1, 1).dead}
    )
    [finding] = examined(*lasting(kernel("a"), ill))
    assert (finding.rule, finding.layer, finding.cause) == (
        "dead_units",
        "b",
        "dead_bias",
    )
    assert_one_sentence(finding, "the biases of b", "start them at 0")


def test_learning_rate_from_far_updates():
    well = ([kernel("a", update=0.4, **FINE), kernel("b")], {})
    ill = ([kernel("a", update=0.4, **FLAT), kernel("b")], {})
    [finding] = examined(well, *[ill] * 4)
    assert finding.cause == "learning_rate"
    assert_one_sentence(finding, "one update moved a by 28% of its usual size")


def test_a_great_momentum_adds_up_what_is_small():
    ill = [
        network(kernel("a", update=0.05, **FLAT), kernel("b"), step=9 + n)
        for n in range(4)
    ]
    well = network(kernel("a", **FINE), kernel("b"), step=1)
    causes = {}
    for momentum in (0.9, 0.99):
        judge = examiner(momentum=momentum)
        [finding] = [f for w in (well, *ill) for f in judge.judge_window(w)]
        causes[momentum] = finding.cause
    assert causes == {0.9: "unknown", 0.99: "learning_rate"}
    assert_one_sentence(finding, "with a momentum of 0.99 they add up")


def test_a_signal_that_grows_saturates_what_follows():
    first = kernel("a", std=1e6, **{"activation": "exponential"})
    [finding] = examined(*lasting(first, kernel("b", **FLAT)))
    assert (finding.layer, finding.cause) == ("b", "large_weights")
    assert "the signal grows from layer to layer" in finding.message


def test_learning_rate_from_weights_that_grew():
    well = ([kernel("a", **FINE)], {})
    ill = ([kernel("a", size=4.0, **FLAT)], {})
    [finding] = examined(well, *[ill] * 4)
    assert finding.cause == "learning_rate"
    assert "the weights of a grew 5.7-fold" in finding.message


def test_weights_may_grow_in_a_run_that_learns_well():
    well = ([kernel("a", **FINE)], {"loss": 1.0})
    grown = ([kernel("a", size=4.0, **FLAT)], {"loss": 0.5})
    assert examined(well, *[grown] * 4) == []


def test_what_was_so_from_the_start_is_not_the_learning_rate():
    [finding] = examined(*lasting(kernel("a", update=0.4, **FLAT)))
    assert finding.cause == "unknown"


def test_unscaled_targets():
    well = ([kernel("a"), kernel("b")], {"targets": FAR})
    ill = ([kernel("a", grads=(1e9, 1e9)), kernel("b")], {"targets": FAR})
    [finding] = examined(well, well, ill)
    assert (finding.rule, finding.cause) == ("exploding_gradient", "unscaled_targets")
    assert_one_sentence(finding, "root mean square 1.7e+02", "global_clipnorm")


def test_neither_inputs_nor_targets_scaled():
    raw = ValueStats(mean=0.0, std=100.0, min=-300.0, max=300.0)
    ill = (
        [kernel("a", grads=(7e10, 1e8)), kernel("b")],  # 100 arrives at the first layer
        {"targets": FAR, "inputs": raw},
    )
    [finding] = examined(ill, ill)
    assert finding.cause in ("unscaled_inputs", "unscaled_targets")
    assert_one_sentence(
        finding,
        "probably neither the inputs nor the targets are scaled",
        "(root mean squares 1e+02 and",
    )


def test_weight_decay():
    def layers(size):
        return [
            kernel(f"d{i}", size=size, grads=(10.0 ** (i - 9),) * 2) for i in range(9)
        ]

    well = [kernel(f"d{i}") for i in range(9)]
    [finding] = examined((well, {}), *[(layers(0.05), {})] * 4)
    assert (finding.rule, finding.cause) == ("vanishing_gradient", "weight_decay")
    assert_one_sentence(finding, "to 7.1% and less", "lower the weight decay")
    # One that was kept speaks against it.
    [finding] = examined((well, {}), *[([*layers(0.05)[:8], kernel("d8")], {})] * 4)
    assert finding.cause != "weight_decay"


def test_embeddings_that_start_too_large():
    table = WeightStats("words/embeddings", 1.0, weight_norm=30.0 * 20, shape=(50, 8))
    words = LayerStats("words", weights=(table,))
    ill = kernel("lstm", grads=(1e3, 1.0), **FLAT)
    [finding] = examined(*lasting(words, ill))
    assert finding.cause == "large_weights"
    assert_one_sentence(finding, "the embeddings of words start too large", "30)")


def test_a_signal_that_grows_from_layer_to_layer():
    deep = kernel("b", activation="relu", mean=0.0, std=500.0, grads=(1e9, 1e9))
    [finding] = examined(([kernel("a"), deep], {"inputs": SCALED}))
    assert (finding.rule, finding.cause) == ("exploding_gradient", "large_weights")
    assert_one_sentence(finding, "grows from layer to layer (deviation 5e+02 at b)")
    # Large inputs are large in every layer.
    raw = ValueStats(mean=0.0, std=100.0, min=-300.0, max=300.0)
    first = kernel("a", grads=(5e3, 1.0))
    [finding] = examined(([first, deep], {"inputs": raw}))
    assert finding.cause == "unscaled_inputs"


@pytest.mark.parametrize(
    ("outputs", "cause"), [(2, "unscaled_targets"), (1, "unknown")]
)
def test_targets_of_one_output_that_drown_those_of_another(outputs, cause):
    first = kernel("digit", grads=(1e-5, 1e-5), is_output=outputs > 1)
    second = kernel("price", grads=(10.0, 10.0), is_output=True)
    [finding] = examined(*lasting(first, second, targets=FAR))
    assert (finding.rule, finding.layer) == ("vanishing_gradient", "digit")
    assert finding.cause == cause


# At single steps

LAYOUT = Layout(
    tuple(LayerEntry(path, None, None, False, 1, True) for path in "ab"),
    tuple(WeightEntry(f"{layer}/kernel", layer) for layer in "ab"),
)


def fault(step=7, where="output", path="b", nan=0, inf=0, batch=0):
    return Fault(step, where, path, nan, inf, batch, ())


def told(judge, fault, *layers, epoch=0):
    window = network(*layers, step=fault.step) if layers else None
    [finding] = judge.judge_fault(fault, LAYOUT, fault.step, epoch, window)
    assert_one_sentence(finding)
    return finding


def test_bad_data_names_the_batch():
    judge = examiner()
    judge.begin_epoch(40)
    finding = told(judge, fault(43, nan=5, batch=2), epoch=1)
    assert finding.cause == "bad_data"
    assert "already holds 2 (batch 3 of epoch 2): look for missing" in finding.message


def test_bad_data_outside_of_an_epoch_names_the_step_alone():
    assert "already holds 2: look" in told(examiner(), fault(nan=5, batch=2)).message


def test_overflow_of_a_dtype():
    finding = told(examiner(), fault(1, inf=3))
    assert finding.cause == "overflow"
    assert "keep this layer in float32" in finding.message


def test_overflow_under_loss_scaling():
    judge = examiner(loss_scaling=True)
    found = []
    for step in range(1, 25):
        bad = fault(step, "gradient", "b/kernel", inf=1)
        found += judge.judge_fault(bad, LAYOUT, step, 0)
    assert [finding.cause for finding in found] == ["overflow"]


def test_bad_gradient():
    finding = told(examiner(), fault(1, "gradient", "b/kernel", nan=3))
    assert finding.cause == "bad_gradient"
    assert finding.medicine in finding.message


def test_raw_inputs_do_not_make_a_gradient_bad():
    judge = examiner()
    judge.judge_window(network(kernel("a"), kernel("b"), inputs=RAW))
    bad = fault(2, "gradient", "b/kernel", nan=3)
    assert told(judge, bad).cause == "bad_gradient"
    assert told(judge, fault(9, nan=3)).cause == "unscaled_inputs"


def test_a_gradient_that_goes_bad_in_an_explosion():
    judge = examiner()
    judge.judge_window(network(kernel("a", update=0.5), kernel("b"), targets=FAR))
    bad = fault(2, "gradient", "b/kernel", nan=3)
    assert told(judge, bad).cause == "unscaled_targets"


def test_nan_of_which_nothing_is_known():
    finding = told(examiner(), fault(1, nan=3))
    assert finding.cause == "unknown"
    assert finding.medicine in finding.message


def test_nan_after_gradients_that_grew():
    judge = examiner()
    judge.judge_window(network(kernel("a"), kernel("b")))
    finding = told(judge, fault(5, nan=3), kernel("a", grads=(1e5, 1.0)))
    assert finding.cause == "learning_rate"
    assert "the gradient grew from 10 to 1e+05" in finding.message


def test_nan_after_gradients_that_were_zero():
    judge = examiner()
    judge.judge_window(network(kernel("a", grads=(0.0, 0.0))))
    finding = told(judge, fault(5, nan=3), kernel("a", grads=(1e5, 1.0)))
    assert "the gradient grew from 0 to 1e+05" in finding.message


def test_nan_after_an_explosion_is_of_the_same_illness():
    judge = examiner()
    well, ill = kernel("a"), kernel("a", size=9.0, update=5.0, grads=(1e9, 1e9))
    judge.judge_window(network(well))
    [explosion] = judge.judge_window(network(ill, step=3))
    finding = told(judge, fault(4, nan=3))
    assert finding.cause == explosion.cause == "learning_rate"
    assert "probably it is what a has had since step 3" in finding.message
