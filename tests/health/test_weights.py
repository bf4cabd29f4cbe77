"""How large weights are beside usual initialisers, against Keras's own draws."""

import math

import keras
import numpy as np
import pytest

from keras_activations.health import weights
from keras_activations.telemetry.stats import LayerStats, WeightStats
from tests.health.windows import kernel


def drawn(initializer, shape, path="kernel", **more):
    values = keras.ops.convert_to_numpy(initializer(shape))
    return WeightStats(
        path, weight_norm=float(np.linalg.norm(values)), shape=shape, **more
    )


SHAPES = [(8, 4), (64, 512), (512, 64), (3, 3, 16, 32), (5, 64, 64), (64, 4, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name",
    ["GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal"],
)
def test_usual_initialisers_are_neither_large_nor_small(name, shape):
    weight = drawn(getattr(keras.initializers, name)(seed=1), shape)
    assert weights.excess(weight) < 1.5
    assert weights.lack(weight) < 2


@pytest.mark.parametrize("shape", SHAPES)
def test_he_is_the_unit(shape):
    kernel = drawn(keras.initializers.HeNormal(seed=1), shape)
    if shape == (64, 4, 16):  # Keras takes the 64 for a receptive field
        assert weights.excess(kernel) == pytest.approx(0.5, rel=0.1)
    else:
        assert weights.excess(kernel) == pytest.approx(1, rel=0.2)


def test_small_ones_are_in_units_of_glorot():
    weight = drawn(keras.initializers.GlorotNormal(seed=1), (64, 512))
    assert weights.lack(weight) == pytest.approx(1, rel=0.05)
    assert (
        weights.lack(WeightStats("kernel", weight_norm=0.0, shape=(2, 2))) == math.inf
    )


@pytest.mark.parametrize("shape", [(8, 8), (64, 512), (3, 3, 16, 32), (64, 4, 16)])
@pytest.mark.parametrize(
    ("initializer", "about"),
    [
        (keras.initializers.GlorotUniform(seed=1), 0),
        (keras.initializers.TruncatedNormal(seed=1), 0),
        (keras.initializers.OrthogonalInitializer(seed=1), 0),
        (keras.initializers.Ones(), 1),
        (keras.initializers.Constant(-0.3), 1),
        (keras.initializers.RandomUniform(-1, 0, seed=1), math.sqrt(3) / 2),
    ],
)
def test_weights_to_one_side_of_0_are_alike(initializer, about, shape):
    values = keras.ops.convert_to_numpy(initializer(shape)).astype("float64")
    share = abs(values.mean()) / np.sqrt(np.mean(np.square(values)))
    found = weights.alike(WeightStats("kernel", mean_ratio=share, shape=shape))
    assert found == pytest.approx(about, abs=0.3 if values.size == 64 else 0.05)


@pytest.mark.parametrize("shape", [(7, 9), (3, 64), (64,)])
def test_a_few_weights_are_alike_by_chance(shape):
    assert weights.alike(WeightStats("kernel", mean_ratio=1.0, shape=shape)) is None


def test_the_last_update_is_taken_out():
    moved = WeightStats(
        "kernel", weight_norm=80 * math.hypot(1, 3), update_ratio=3.0, shape=(50, 50)
    )
    assert weights.excess(moved) == pytest.approx(8)
    assert weights.stride(moved) == pytest.approx(24)


@pytest.mark.parametrize(
    ("path", "shape", "answer"),
    [
        ("dense/kernel", (4, 3), True),
        ("lstm_cell/recurrent_kernel", (4, 16), True),
        ("gru_cell/bias", (2, 12), False),
        ("embedding/embeddings", (1000, 8), False),
        ("norm/gamma", (4,), False),
        ("norm/gamma", (4, 4), False),
        ("scale", (), False),
    ],
)
def test_what_is_a_kernel(path, shape, answer):
    assert weights.is_kernel(WeightStats(path, shape=shape)) is answer


def test_a_depthwise_unit_sees_one_channel():
    path = "conv/depthwise_kernel"
    assert weights.fan_in(WeightStats(path, shape=(3, 3, 64, 1))) == 9


def test_what_is_not_known_is_none():
    unknown = WeightStats("kernel", shape=(3, 4))
    for measure in (weights.rms, weights.excess, weights.lack, weights.stride):
        assert measure(unknown) is None
    assert weights.stride(WeightStats("kernel", weight_norm=1.0, shape=(3, 4))) is None


def test_what_arrives_at_a_layer_is_told_by_its_gradients():
    rng = np.random.default_rng(1)
    x = rng.normal(3.0, 2.0, (256, 50))
    delta = rng.normal(0.4, 1.0, (256, 20))
    norms = np.linalg.norm(x.T @ delta), np.linalg.norm(delta.sum(axis=0))
    layer = kernel("a", shape=(50, 20), grads=norms)
    assert weights.arriving(layer) == pytest.approx(math.hypot(3, 2), rel=0.3)


@pytest.mark.parametrize(
    "layer",
    [
        LayerStats("a"),
        kernel("a", grads=(None, 1.0)),
        kernel("a", grads=(1.0, None)),
        kernel("a", grads=(1.0, 0.0)),
        kernel("a", grads=(1.0, 1e-7)),  # rounding errors, before a normalisation
        kernel("a", grads=(math.inf, 1.0)),
    ],
)
def test_what_arrives_may_not_be_known(layer):
    assert weights.arriving(layer) is None
