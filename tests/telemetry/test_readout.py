"""From counters to statistics, against NumPy on the values that were counted."""

import dataclasses
import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given

from keras_activations.activations.regions import region_of
from keras_activations.telemetry.banks import Bank
from keras_activations.telemetry.counting import BINS
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.readout import first_fault, layer_stats
from keras_activations.telemetry.sampling import sampled_weights
from keras_activations.telemetry.stats import Histogram, LayerStats, WeightStats


def layer(path="layer", activation=None, units=3, sampled=True):
    region = None if activation is None else region_of(activation)
    return LayerEntry(path, activation, region, False, units, sampled)


def weight(path):
    return WeightEntry(path, path.split("/")[0])


def no_totals(layout):
    return {source: np.zeros(2) for source in layout.sources}


def reading_of(layout, samples):
    """What a bank holds after samples, each a list of arrays, one a sampled layer."""
    bank = Bank(layout, slots=max(len(samples), 1), dtype="float64")
    for step, outputs in enumerate(samples, start=1):
        outputs = [[(tf.constant(x, tf.float64), None)] for x in outputs]
        bank.add_sample(tf.constant(step, tf.int64), outputs, None)
    return bank.read()


# Statistics of a layer


def test_moments_of_samples_far_apart():
    rng = np.random.default_rng(0)
    # The mean differs between samples a thousand times more than within one.
    values = rng.normal(size=(4, 50, 3)) + 1000.0 * np.arange(4)[:, None, None]
    layout = Layout((layer(),), ())

    stats = layer_stats(reading_of(layout, values[:, None]), no_totals(layout))["layer"]

    assert stats.count == values.size
    assert stats.units == 3
    found = [stats.mean, stats.std, stats.min, stats.max]
    expected = [values.mean(), values.std(), values.min(), values.max()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert stats.histogram.counts.sum() == values.size
    assert (np.diff(stats.histogram.edges) > 0).all()
    for name in (
        "saturation_low",
        "saturation_high",
        "saturation",
        "dead",
        "dead_units",
    ):
        assert getattr(stats, name) is None


def test_what_an_activation_says():
    tanh = np.array([[-0.99, 0.5, 1.0], [0.0, -1.0, 0.0]])
    relu6 = np.array([[0.0, 6.0, 0.0], [0.0, 3.0, 2.0]])
    layout = Layout((layer("tanh", "tanh"), layer("relu6", "relu6")), ())

    stats = layer_stats(reading_of(layout, [[tanh, relu6]]), no_totals(layout))

    shares = {
        path: (s.saturation_low, s.saturation_high, s.saturation, s.zero_fraction)
        for path, s in stats.items()
    }
    assert shares == {
        "tanh": pytest.approx((2 / 6, 1 / 6, 3 / 6, 2 / 6)),
        "relu6": pytest.approx((0, 1 / 6, 1 / 6, 3 / 6)),
    }
    assert stats["tanh"].dead is None
    assert stats["relu6"].dead.tolist() == [True, False, False]
    assert stats["relu6"].dead_units == 1


def test_a_unit_is_dead_when_it_was_so_in_every_sample():
    layout = Layout((layer("relu", "relu", units=4),), ())
    nan = math.nan
    first = np.array([[0.0, 0.0, 1.0, nan]])
    second = np.array([[0.0, 2.0, 0.0, nan]])

    stats = layer_stats(reading_of(layout, [[first], [second]]), no_totals(layout))

    # Of the last nothing is known: not dead.
    assert stats["relu"].dead.tolist() == [True, False, False, False]


def test_values_that_are_not_finite_are_no_part_of_the_distribution():
    values = np.array([[math.nan, 1.0, -math.inf], [2.0, math.inf, math.nan]])
    layout = Layout((layer(), layer("none")), ())
    totals = no_totals(layout) | {("output", "layer"): np.array([2, 3])}
    nothing = np.full((1, 3), math.nan)

    stats = layer_stats(reading_of(layout, [[values, nothing]]), totals)

    assert (stats["layer"].count, stats["layer"].mean) == (2, 1.5)
    assert (stats["layer"].min, stats["layer"].max) == (1.0, 2.0)
    assert (stats["layer"].nan_count, stats["layer"].inf_count) == (2, 3)
    assert stats["none"].count == 0
    assert stats["none"].histogram is None
    assert stats["none"].mean is stats["none"].dead is None


def test_layers_of_every_size_keep_their_units_apart():
    entries = [layer(f"relu_{n}", "relu", units=n) for n in (1, 3, 2)]
    arrays = [np.tile([0.0, 1.0, 0.0][:n], (5, 1)) for n in (1, 3, 2)]
    layout = Layout((entries[0], layer("left out", sampled=False), *entries[1:]), ())

    stats = layer_stats(reading_of(layout, [arrays]), no_totals(layout))

    assert list(stats) == ["relu_1", "left out", "relu_3", "relu_2"]
    assert [s.dead_units for s in stats.values()] == [1, None, 2, 1]
    assert stats["left out"].count == 0


def test_weights_and_their_owners():
    layout = Layout(
        (layer("dense"),),
        (weight("dense/kernel"), weight("dense/bias"), weight("outer/scale")),
    )
    reading = dataclasses.replace(
        reading_of(layout, []),
        flags=np.array([0.0, 0.0, 2.0]),
        squares=np.array([9.0, -math.inf, 0.25]),
        weights=np.array([5.0, 0.0, 3.0]),
        units=np.array([1.0, 0.5, 1.0]),
        updates=np.array([[0.5, 0.0, 2.0], [50.0, 0.0, 8.0], [18.0, 0.0, 8.0]]),
    )
    totals = no_totals(layout) | {("gradient", "dense/bias"): np.array([1, 2])}

    stats = layer_stats(reading, totals)

    kernel, bias = stats["dense"].weights
    assert kernel == WeightStats(
        "dense/kernel", 3.0, 0, 0, 5.0, pytest.approx(0.1), pytest.approx(0.6)
    )
    assert bias == WeightStats("dense/bias", None, 1, 2, 0.0, None, unit=0.5)
    assert stats["dense"].gradient_norm == 3.0
    assert stats["dense"].weight_norm == 5.0
    assert list(stats) == ["dense", "outer"]  # the owner that put out nothing is last
    assert stats["outer"].update_ratio == 0.5
    assert stats["outer"].weights[0].mean_ratio == 1.0
    assert stats["outer"].count == 0

    unsampled = dataclasses.replace(reading, flags=np.zeros(3))
    assert layer_stats(unsampled, totals)["dense"].weight_norm is None


@pytest.mark.parametrize("pattern", ["all", "rows", "columns"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_norms_and_update_ratios(pattern, dtype):
    rng = np.random.default_rng(0)
    shapes = [(), (7,), (64, 64), (784, 300), (5, 5, 32, 64)]
    variables, changes = [], []
    for number, shape in enumerate(shapes):
        variables.append(
            keras.Variable(rng.normal(size=shape), dtype, name=f"w{number}")
        )
        change = rng.normal(size=shape)
        # A kernel of which every eighth row or column is trained.
        if pattern != "all" and len(shape) > 1:
            axis = len(shape) - (2 if pattern == "rows" else 1)
            frozen = np.arange(shape[axis]) % 8 != 0
            np.moveaxis(change, axis, 0)[frozen] = 0
        changes.append(change)
    layout = Layout((), tuple(weight(v.path) for v in variables))
    bank = Bank(layout, variables, weight_entries=4096)
    before = [v.numpy().astype("float64") for v in variables]

    entries = sampled_weights(variables, 4096)
    for variable, change in zip(variables, changes, strict=True):
        variable.assign_add(0.1 * change)
    bank.add_sample(tf.constant(1, tf.int64), [], entries)
    stats = layer_stats(bank.read(), no_totals(layout))

    for variable, old in zip(variables, before, strict=True):
        [found] = stats[variable.path].weights
        new = variable.numpy().astype("float64")
        assert found.weight_norm == pytest.approx(np.linalg.norm(new), rel=1e-5)
        ratio = np.linalg.norm(new - old) / np.linalg.norm(old)
        rel = 1e-9 if old.size <= 4096 else 0.1
        assert found.update_ratio == pytest.approx(ratio, rel=rel)
        share = abs(old.mean()) / np.sqrt(np.mean(np.square(old)))
        chance = 1e-9 if old.size <= 4096 else 0.05
        assert found.mean_ratio == pytest.approx(share, abs=chance)


def test_a_layers_norms_join_those_of_its_weights():
    weights = (
        WeightStats("kernel", 3.0, weight_norm=6.0, update_ratio=0.1),
        WeightStats("bias", 4.0, weight_norm=8.0, update_ratio=0.2),
        WeightStats("unknown"),
    )
    stats = LayerStats("layer", weights=weights)
    assert (stats.gradient_norm, stats.weight_norm, stats.update_ratio) == (5, 10, 0.2)

    stats = LayerStats("layer")
    assert stats.gradient_norm is stats.weight_norm is stats.update_ratio is None


# The first fault


@pytest.fixture
def faulty():
    """A reading of layers a, b, c whose given sources have (2 NaN, 1 Inf)."""
    weights = ["a/kernel", "a/bias", "b/kernel", "c/kernel", "c/bias"]
    layout = Layout(tuple(map(layer, "abc")), tuple(map(weight, weights)))

    def make(*bad, step=7):
        faults = np.zeros((2, len(layout.sources), 2))
        for row, (_, path) in enumerate(layout.sources):
            faults[:, row] = [[20, 10], [2, 1]] if path in bad else 0
            faults[0, row] += 100  # of later steps; the first bad one counts
        flags = np.array([float(step), 0.0, 0.0])
        return dataclasses.replace(reading_of(layout, []), flags=flags, faults=faults)

    return make


@pytest.mark.parametrize(
    ("bad", "where", "order"),
    [
        (["c", "b"], "output", ["b", "c"]),
        (["loss", "c", "a/kernel"], "output", ["c", "loss", "a/kernel"]),
        (["a/kernel", "loss"], "loss", ["loss", "a/kernel"]),
        # Gradients are computed from the last layer to the first.
        (["a/kernel", "b/kernel"], "gradient", ["b/kernel", "a/kernel"]),
        (
            ["a/bias", "a/kernel", "c/bias", "c/kernel"],
            "gradient",
            ["c/kernel", "c/bias", "a/kernel", "a/bias"],
        ),
    ],
)
def test_first_fault_is_forward_before_backward(faulty, bad, where, order):
    fault = first_fault(faulty(*bad))

    assert (fault.step, fault.where, fault.path) == (7, where, order[0])
    assert (fault.nan_count, fault.inf_count, fault.batch_count) == (2, 1, 0)
    assert list(fault.later) == order[1:]


def test_first_fault_and_the_batch(faulty):
    fault = first_fault(faulty("batch", "a", "loss"))
    assert (fault.where, fault.path, fault.batch_count) == ("output", "a", 3)
    assert fault.later == ("loss",)

    fault = first_fault(faulty("batch"))
    assert (fault.where, fault.nan_count, fault.inf_count) == ("batch", 2, 1)


def test_no_fault_without_a_bad_step(faulty):
    assert first_fault(faulty("a", step=0)) is None


# Quantiles


@given(
    values=hnp.arrays("float64", st.integers(1, 50), elements=st.floats(-1, 1)),
    q=st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
@example(np.array([-0.9, -0.8]), 1.0)
@example(np.array([0.8, 0.9]), 0.0)
def test_quantile_is_right_to_one_bin(values, q):
    counts, edges = np.histogram(values, BINS, (-1, 1))

    found = Histogram(edges, counts).quantile(q)

    slack = 2 / BINS + 1e-12
    assert found >= np.quantile(values, q, method="lower") - slack
    assert found <= np.quantile(values, q, method="higher") + slack


def test_quantiles_of_many_values():
    values = np.random.default_rng(0).normal(size=20_000)
    counts, edges = np.histogram(values, BINS, (-4, 4))
    q = np.linspace(0.01, 0.99, 9)

    found = [Histogram(edges, counts).quantile(x) for x in q]

    np.testing.assert_allclose(found, np.quantile(values, q), atol=0.06)


def test_quantile_of_a_layer_stays_within_what_was_seen():
    counts, edges = np.histogram([0.51, 0.52, 7.0], 4, (0, 2))
    counts[-1] += 1  # 7.0 lies outside and went to the end bin
    stats = LayerStats("layer", min=0.51, max=0.52, histogram=Histogram(edges, counts))
    assert (stats.quantile(0.0), stats.quantile(1.0)) == (0.51, 0.52)
    assert LayerStats("layer").quantile(0.5) is None


def test_quantile_of_nothing_and_out_of_range():
    empty = Histogram(np.linspace(0, 1, 5), np.zeros(4, int))
    assert empty.quantile(0.5) is None
    for q in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]. Received: q="):
            empty.quantile(q)
