"""Moments, histograms and extremes against float64 NumPy on the same values.

Both counters are put to every test: that of a graph and that of the host.
"""

import functools
import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from keras_activations.telemetry import counting, counting_on_host
from keras_activations.telemetry.counting import BINS, COLUMNS, MOMENTS

DTYPES = ["float16", "bfloat16", "float32", "float64"]
RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 6.0), (-1e-6, 1e6), (3.0, 3.0 + 1e-6)]
NAN, INF = math.nan, math.inf
UNKNOWN = (NAN, NAN)
few = settings(max_examples=40)
COUNTER = None  # set by `counter`


@functools.cache
def graph(dtype):
    signature = [tf.TensorSpec([None] * 3, dtype), tf.TensorSpec([], tf.int32)]
    pairs = 2 * [tf.TensorSpec([None, 2], tf.float64)]
    return tf.function(
        counting.sample_summary, input_signature=signature + pairs, autograph=False
    )


class InGraph:
    @staticmethod
    def sample_summary(kept, *options):
        return graph(kept.dtype)(kept, *options).numpy()

    @staticmethod
    def sample_extremes(kept, number):
        return counting.sample_extremes(kept, number).numpy()


class OnHost:
    @staticmethod
    def sample_summary(kept, *options):
        return counting_on_host.sample_summary(kept.numpy(), *options)

    @staticmethod
    def sample_extremes(kept, number):
        return counting_on_host.sample_extremes(kept.numpy(), number)


@pytest.fixture(autouse=True, scope="module", params=[InGraph, OnHost])
def counter(request):
    """What `COUNTER` is, for all tests of the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "COUNTER", request.param)
        yield


@st.composite
def samples(draw, dtype):
    """Two layers of any floats in `dtype`, and an array as a bank keeps them."""
    width = {"float16": 16, "float64": 64}.get(dtype, 32)
    # Squares of greater float64 values overflow: see the tests of "huge" ones.
    limit = 1e140 if width == 64 else None
    # TensorFlow flushes subnormal numbers to 0.
    finite = st.floats(
        -limit if limit else None, limit, width=width, allow_subnormal=False
    )
    special = st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0, 6.0])
    usual = st.floats(-8, 8, width=width, allow_subnormal=False)
    elements = draw(st.sampled_from([usual, finite | usual | special]))
    shape = (draw(st.integers(1, 2)), 2, draw(st.integers(0, 20)))
    array = draw(hnp.arrays(f"float{width}", shape, elements=elements))
    kept_as = "float64" if width == 64 else "float32"
    return tf.cast(tf.cast(tf.constant(array), dtype), kept_as)


def summary(kept, thresholds=UNKNOWN, ranges=(-1.0, 1.0), number=None):
    """Extremes, moments (by name) and histogram of each layer."""
    kept = tf.convert_to_tensor(kept)
    pairs = [np.broadcast_to(x, (kept.shape[1], 2)) for x in (thresholds, ranges)]
    number = kept.shape[0] if number is None else number
    found = COUNTER.sample_summary(kept, number, *map(np.float64, pairs))
    assert found.dtype == "float64"
    assert found.shape == (kept.shape[1], COLUMNS)
    return [
        (row[:2], dict(zip(MOMENTS, row[2:-BINS], strict=True)), row[-BINS:])
        for row in found
    ]


def finite_values(kept):
    """Of each layer, in float64."""
    layers = np.moveaxis(kept.numpy().astype("float64"), 1, 0)
    return [layer[np.isfinite(layer)] for layer in layers]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_moments(data, dtype):
    kept = data.draw(samples(dtype))
    # float32 knows them exactly.
    thresholds = [(-0.75, 0.75), (NAN, 6.0)]
    eps = np.finfo(kept.dtype.as_numpy_dtype).eps

    found = summary(kept, thresholds)

    for (_, moments, _), values, (low, high) in zip(
        found, finite_values(kept), thresholds, strict=True
    ):
        assert moments["count"] == len(values)
        assert moments["low"] == (values <= low).sum()
        assert moments["high"] == (values >= high).sum()
        assert moments["zeros"] == (values == 0).sum()
        n = max(len(values), 1)
        mean = values.sum() / n
        squares = np.square(values - mean).sum()
        # Rounding of one value; squares of less than 1e-30 are nothing in float32.
        error = 20 * eps * np.abs(values).max(initial=0) + 1e-30
        expected = {
            "sum": (values.sum(), n * error),
            "centred_squares": (
                squares,
                2 * math.sqrt(n * squares) * error + n * error**2,
            ),
            "squared_means": (n * mean**2, 2 * n * abs(mean) * error + n * error**2),
        }
        for name, (value, tolerance) in expected.items():
            np.testing.assert_allclose(
                moments[name], value, rtol=20 * eps, atol=tolerance, err_msg=name
            )


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_histograms(data, dtype):
    kept = data.draw(samples(dtype))
    ranges = [data.draw(st.sampled_from(RANGES)) for _ in range(2)]
    eps = np.finfo(kept.dtype.as_numpy_dtype).eps

    found = summary(kept, ranges=ranges)

    for (_, _, counts), values, limits in zip(
        found, finite_values(kept), ranges, strict=True
    ):
        clipped = np.clip(values, *limits)
        expected, edges = np.histogram(clipped, BINS, limits)
        assert counts.sum() == len(values)
        # A value may lie on either side of an edge by a rounding error.
        close = np.abs(clipped - edges[1:, None]) < 4 * eps * np.abs(limits).sum()
        difference = np.abs(np.cumsum(counts) - np.cumsum(expected))
        assert (difference <= close.sum(axis=1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_extremes(data, dtype):
    kept = data.draw(samples(dtype))

    alone = COUNTER.sample_extremes(kept, kept.shape[0])
    found = [extremes for extremes, _, _ in summary(kept)]

    np.testing.assert_array_equal(found, alone)
    for (low, high), values in zip(found, finite_values(kept), strict=True):
        assert low == values.min(initial=INF)
        assert high == values.max(initial=-INF)


def test_thresholds_are_saturated_themselves_and_infinity_is_not():
    values = np.array([[[-INF, -1.0, -0.5, 0.0, 0.5, 1.0, INF, NAN, NAN]]])
    for thresholds, low, high in (
        ((-0.5, 0.5), 2, 2),
        ((0.0, 0.0), 3, 3),
        ((0.5, -0.5), 4, 4),
        ((NAN, 1.0), 0, 1),
        ((-1.0, NAN), 1, 0),
        (UNKNOWN, 0, 0),
    ):
        [(_, moments, _)] = summary(values, thresholds)
        found = [moments[name] for name in ("count", "low", "high", "zeros")]
        assert found == [5, low, high, 1]


def test_moments_centre_before_they_square():
    values = 1e9 + np.array([-1e-3, 0.0, 1e-3])
    [(_, moments, _)] = summary(values[None, None])
    expected = np.square(values - 1e9).sum()
    np.testing.assert_allclose(moments["centred_squares"], expected, rtol=1e-3)


def test_a_layer_without_a_range_counts_nothing_and_disturbs_none():
    values = np.array([[[0.5, 0.5, 1.5, NAN]] * 2])
    first, second = summary(values, ranges=[UNKNOWN, (0.0, 1.0)])
    assert not first[2].any()
    assert first[1]["count"] == 3
    assert second[2][[BINS // 2, -1]].tolist() == [2, 1]


# What a bank keeps: slots not in use, layers of different sizes, padding


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_summary_is_that_of_the_slots_in_use(dtype, number):
    kept = np.random.default_rng(0).normal(size=(3, 2, 50)).astype(dtype)
    kept[1, 0, :20] = NAN
    kept[2, 1] = INF

    found = summary(kept, (-1.0, 1.0), number=number)

    expected = summary(kept[:number], (-1.0, 1.0))
    for x, y in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(x, y)
    counts = [moments["count"] for _, moments, _ in found]
    assert counts == [[0, 0], [50, 50], [80, 100], [130, 100]][number]


@pytest.mark.parametrize("shape", [(1, 0, 512), (0, 2, 512), (0, 0, 512), (2, 2, 0)])
def test_nothing_to_count(shape):
    for extremes, moments, counts in summary(np.zeros(shape, "float32")):
        assert extremes.tolist() == [INF, -INF]
        assert not any(moments.values())
        assert not counts.any()
    assert COUNTER.sample_extremes(tf.zeros(shape), shape[0]).shape == (shape[1], 2)


# Values whose squares or differences overflow


def test_moments_of_huge_float32():
    values = np.array([[[1e30, -1e30, 3e38, -3e38, NAN]]], "float32")
    [(_, moments, _)] = summary(values)
    exact = values[0, 0, :4].astype("float64")
    assert moments["centred_squares"] == pytest.approx(np.square(exact).sum())
    assert abs(moments["sum"]) < 1e32


def test_moments_of_huge_float64():
    [(_, moments, _)] = summary(np.array([[[1e200, 1e200, 3e200, NAN]]]))
    assert moments["centred_squares"] == INF  # the sum of the squares, NaN passed over


@pytest.mark.parametrize("value", [1e300, 1.7e308, -1e300, -1.7e308])
@pytest.mark.parametrize("limits", [(0.0, 1e-12), (-1e308, 1e307), (-1e307, 1e308)])
def test_histograms_of_huge_float64(value, limits):
    [(_, _, counts)] = summary(np.array([[[value]]]), ranges=limits)
    clipped = np.clip(value, *limits)
    bin_ = int((clipped - limits[0]) / (limits[1] - limits[0]) * BINS)
    assert counts.argmax() == min(bin_, BINS - 1)
    assert counts.sum() == 1


@pytest.mark.parametrize("value", [3e38, -3e38])
@pytest.mark.parametrize("limits", [(0.0, 1e-12), (-2e38, 3e38), (-3e38, 3e38)])
def test_histograms_of_huge_float32(value, limits):
    [(_, _, counts)] = summary(np.full((1, 1, 3), value, "float32"), ranges=limits)
    assert counts[-1 if value > 0 else 0] == counts.sum() == 3
