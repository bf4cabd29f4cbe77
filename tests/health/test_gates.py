"""Saturation inside of a recurrent layer, against a forward pass in NumPy."""

import math

import numpy as np
import pytest
import scipy.special

from keras_activations.health import rules
from keras_activations.health.gates import gate_saturation
from keras_activations.telemetry.stats import LayerStats, ValueStats, WeightStats
from tests.health.windows import network

UNITS, FEATURES = 16, 8


def cell(size, gates=4, grads=(None, None)):
    return LayerStats(
        "m/lstm/lstm_cell",
        weights=(
            WeightStats(
                "m/lstm/lstm_cell/kernel",
                grads[0],
                weight_norm=size * math.sqrt(FEATURES * gates * UNITS),
                shape=(FEATURES, gates * UNITS),
            ),
            WeightStats(
                "m/lstm/lstm_cell/recurrent_kernel",
                weight_norm=4.0,
                shape=(UNITS, gates * UNITS),
            ),
            WeightStats("m/lstm/lstm_cell/bias", grads[1], shape=(gates * UNITS,)),
        ),
    )


LAYER = LayerStats(
    "m/lstm", activation="tanh", count=9, saturation_low=0.0, saturation_high=0.1
)


def recurrent(scale, size=0.2, **options):
    inputs = ValueStats(0.0, scale, -2 * scale, 2 * scale)
    return network(LAYER, cell(size, **options), inputs=inputs)


@pytest.mark.parametrize("scale", [1.0, 10.0, 30.0, 1000.0])
def test_the_share_of_flat_gates(scale):
    rng = np.random.default_rng(1)
    x = rng.normal(0, scale, (2000, FEATURES))
    sums = x @ rng.normal(0, 0.2, (FEATURES, 4 * UNITS))
    gates = scipy.special.expit(sums)
    told = gate_saturation(recurrent(scale))
    assert told == {
        "m/lstm": pytest.approx((gates * (1 - gates) < 0.01).mean(), abs=0.06)
    }


def test_flat_gates_are_a_saturation_of_their_layer():
    rule, state, found = rules.Saturation(), None, []
    for _ in range(3):
        findings, state = rule.judge(recurrent(1000.0), state)
        found += findings
    assert [(f.layer, f.value > 0.99) for f in found] == [("m/lstm", True)]


@pytest.mark.parametrize(
    "window",
    [
        network(LAYER, cell(0.2)),  # inputs not known
        recurrent(1000.0, gates=1),  # no gates
        network(LAYER, inputs=ValueStats(0.0, 1e3, -1e4, 1e4)),
        network(),
    ],
)
def test_gates_of_which_nothing_is_known(window):
    assert gate_saturation(window) == {}


def test_inputs_that_a_layer_in_front_scales_leave_the_gates_alone():
    window = recurrent(1000.0, grads=(math.sqrt(FEATURES), 1.0))
    assert gate_saturation(window)["m/lstm"] < 1e-9
