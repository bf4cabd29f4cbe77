"""What the rule about NaN and Inf says of a fault."""

import pytest

from keras_activations.health import rules
from keras_activations.telemetry.readout import Fault
from keras_activations.telemetry.stats import LayerStats
from tests.health.windows import assert_one_sentence, window


@pytest.mark.parametrize(
    ("where", "nan", "inf", "batch", "between", "words"),
    [
        ("output", 1, 0, 0, (), ["the output has 1 NaN value,", "learning rate"]),
        ("output", 0, 2, 0, (), ["the output has 2 infinite values,"]),
        ("output", 3, 2, 0, (), ["3 NaN and 2 infinite values"]),
        (
            "output",
            3,
            0,
            4,
            (),
            ["the batch itself already holds 4", "missing or infinite"],
        ),
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
        ("batch", 1, 0, 1, (), ["the batch", "missing or infinite"]),
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
