"""Order of the layers, and which kernel makes what a layer puts out."""

import pytest

from keras_activations.health import anatomy
from keras_activations.telemetry.stats import LayerStats
from tests.health.windows import kernel, network

WINDOW = network(
    LayerStats("m/scale"),
    kernel("m/dense"),
    LayerStats("m/tanh"),
    LayerStats("m/lstm"),
    kernel("m/last"),
    kernel("m/lstm/lstm_cell"),  # puts out nothing itself
)


def test_a_cell_takes_the_place_of_its_layer():
    assert anatomy.in_order(WINDOW) == [
        *("m/scale", "m/dense", "m/tanh", "m/lstm", "m/lstm/lstm_cell", "m/last")
    ]
    assert anatomy.weighted(WINDOW) == ["m/dense", "m/lstm/lstm_cell", "m/last"]


@pytest.mark.parametrize(
    ("path", "feeder", "passed"),
    [
        ("m/scale", None, 0),
        ("m/dense", "m/dense", 1),
        ("m/tanh", "m/dense", 1),
        ("m/lstm", "m/lstm/lstm_cell", 2),
        ("m/lstm/lstm_cell", "m/lstm/lstm_cell", 2),
        ("m/last", "m/last", 3),
        ("elsewhere", "m/last", 3),
    ],
)
def test_what_feeds_a_layer(path, feeder, passed):
    assert anatomy.feeder(WINDOW, path) == feeder
    assert anatomy.before(WINDOW, path) == anatomy.weighted(WINDOW)[:passed]
