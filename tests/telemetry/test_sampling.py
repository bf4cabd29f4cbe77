"""Statistics in the graph against float64 NumPy on the same values."""

import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings

from keras_activations.telemetry import sampling
from keras_activations.telemetry.banks import step_shift

DTYPES = ["float16", "bfloat16", "float32", "float64"]
RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 6.0), (-1e-6, 1e6), (3.0, 3.0 + 1e-6)]
few = settings(max_examples=40)


# Drawing rows


def numbered(shape):
    """A tensor whose values are their own index."""
    return tf.reshape(tf.range(math.prod(shape), dtype=tf.float64), shape)


def draw(shape, limit, step, units=1):
    return sampling.rows(numbered(shape), limit, step_shift(step), units).numpy()


@pytest.mark.parametrize("shape", [(), (1,), (7, 6), (32, 8, 8, 6)])
@pytest.mark.parametrize("spare", [0, 1, 5000])
@pytest.mark.parametrize("whole_units", [False, True])
def test_every_row_once_and_in_order_when_all_fit(shape, spare, whole_units):
    units = shape[-1] if whole_units and shape else 1
    size = math.prod(shape)

    rows = draw(shape, size + spare, 3, units)

    np.testing.assert_array_equal(rows, np.arange(size).reshape(-1, units))


@pytest.mark.parametrize(
    ("available", "wanted"),
    [(3, 2), (11, 10), (100, 99), (1000, 700), (1536, 1000), (1999, 1000)]
    + [(4097, 4096), (5000, 4096), (12288, 1000), (12288, 1024), (2**20, 4096)],
)
def test_no_row_twice(available, wanted):
    for step in range(1, 12):
        rows = draw((available,), wanted, step)[:, 0]
        assert len(rows) == wanted
        assert len(np.unique(rows)) == wanted
        assert rows.min() >= 0
        assert rows.max() < available


def test_a_limit_below_one_row_draws_one_row():
    assert draw((9, 6), limit=4, step=1, units=6).shape == (1, 6)


@pytest.mark.parametrize("every", [1, 49, 50])
@pytest.mark.parametrize(
    ("shape", "units", "limit"),
    [
        pytest.param((32, 8, 8, 6), 6, 600, id="rows"),
        pytest.param((32, 8, 8, 6), 1, 1000, id="values"),
        pytest.param((32, 8, 8, 6), 1, 1024, id="a stride of 12: one channel"),
        pytest.param((64, 16, 16, 8), 8, 8192, id="a stride of 16: one column"),
        pytest.param((64, 16, 16, 8), 8, 512, id="a stride of 256: one pixel"),
        pytest.param((128, 64), 1, 128, id="a stride of 64: one unit"),
    ],
)
def test_no_channel_position_or_example_is_preferred(shape, units, limit, every):
    steps = 1 + every * np.arange(200)
    rows = np.stack([draw(shape, limit, step, units)[:, 0] for step in steps])
    places = np.unravel_index(rows.astype(int), shape)
    axes = places if units == 1 else places[:-1]

    for places_of_axis, size in zip(axes, shape, strict=False):
        counts = np.bincount(places_of_axis.ravel(), minlength=size)
        assert scipy.stats.chisquare(counts).pvalue > 0.01
        if rows.shape[1] >= 5 * size:  # one step alone is fair too
            counts = np.bincount(places_of_axis[0], minlength=size)
            assert scipy.stats.chisquare(counts).pvalue > 0.01
    counts = np.bincount(rows.astype(int).ravel() // units)
    counts = np.pad(counts, (0, math.prod(shape) // units - len(counts)))
    if every != 49:  # 49 * SHIFT is nearly whole: its single places come round slowly
        assert scipy.stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("batch", [1, 2, 32])
@pytest.mark.parametrize("units", [1, 6])
def test_batch_size_unknown_while_tracing(batch, units):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 6], tf.float64)])
    def drawn(x):
        return sampling.rows(x, 600, step_shift(7), units)

    shape = (batch, 8, 8, 6)

    np.testing.assert_array_equal(
        drawn(numbered(shape)).numpy(), draw(shape, 600, 7, units)
    )


# Counting values


@st.composite
def layer_outputs(draw, dtype):
    """Two rows of any floats, as the tensor that a layer in `dtype` would give."""
    width = {"float16": 16, "float64": 64}.get(dtype, 32)
    # Squares of greater float64 values overflow: see the tests that end in "float64".
    limit = 1e140 if width == 64 else None
    # TensorFlow flushes subnormal numbers to 0.
    finite = st.floats(
        -limit if limit else None, limit, width=width, allow_subnormal=False
    )
    special = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 6.0])
    usual = st.floats(-8, 8, width=width, allow_subnormal=False)
    shape = (2, draw(st.integers(1, 40)))
    array = draw(hnp.arrays(f"float{width}", shape, elements=finite | usual | special))
    return tf.cast(tf.constant(array), dtype)


def float64(tensor):
    return tf.cast(tensor, tf.float64)


def finite_rows(tensor):
    return [row[np.isfinite(row)] for row in float64(tensor).numpy()]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_moments(data, dtype):
    outputs = data.draw(layer_outputs(dtype))
    thresholds = np.array([[-0.98, 0.98], [math.nan, 6.0]])

    found = sampling.moments(float64(outputs), tf.constant(thresholds)).numpy()

    for row, values, (low, high) in zip(
        found, finite_rows(outputs), thresholds, strict=True
    ):
        moments = dict(zip(sampling.MOMENTS, row, strict=True))
        n = max(len(values), 1)
        size = np.abs(values).sum() + 1e-150
        assert moments["count"] == len(values)
        assert moments["low"] == (values <= low).sum()
        assert moments["high"] == (values >= high).sum()
        assert moments["zeros"] == (values == 0).sum()
        mean = values.sum() / n
        expected = {
            "sum": (values.sum(), 1e-13 * size),
            "centred_squares": (np.square(values - mean).sum(), 1e-25 * size**2),
            "squared_means": (n * mean * mean, 1e-12 * size**2 / n),
        }
        for name, (value, tolerance) in expected.items():
            np.testing.assert_allclose(
                moments[name], value, rtol=1e-9, atol=tolerance, err_msg=name
            )


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_histograms(data, dtype):
    outputs = data.draw(layer_outputs(dtype))
    ranges = [data.draw(st.sampled_from(RANGES)) for _ in range(2)]

    found = sampling.histograms(float64(outputs), tf.constant(ranges, tf.float64))

    for counts, values, limits in zip(
        found.numpy(), finite_rows(outputs), ranges, strict=True
    ):
        clipped = np.clip(values, *limits)
        expected, edges = np.histogram(clipped, sampling.BINS, limits)
        assert counts.sum() == len(values)
        # A value may lie on either side of an edge by a rounding error.
        close = np.abs(clipped - edges[1:, None]) < 1e-9 * (limits[1] - limits[0])
        difference = np.abs(np.cumsum(counts) - np.cumsum(expected))
        assert (difference <= close.sum(axis=1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_settle_ranges(data, dtype):
    outputs = data.draw(layer_outputs(dtype))
    kept = np.array([-1.0, 1.0])
    ranges = tf.constant([[math.nan, math.nan], kept])

    found = sampling.settle_ranges(tf.cast(ranges, tf.float64), float64(outputs))

    (low, high), second = found.numpy()
    np.testing.assert_array_equal(second, kept)
    values = finite_rows(outputs)[0]
    if len(values):
        assert math.isfinite(low)
        assert low < high < math.inf
        assert low == values.min()
        scale = np.abs(values).max()
        width = max(values.max() - values.min(), 1e-6 * scale, 1e-12)
        assert math.isclose(high, low + width, rel_tol=0, abs_tol=1e-15 * scale)
    else:
        assert math.isnan(low)
        assert math.isnan(high)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_unit_extremes(data, dtype):
    outputs = data.draw(layer_outputs(dtype))

    greatest, negated_least = sampling.unit_extremes(float64(outputs)).numpy()

    for i, column in enumerate(float64(outputs).numpy().T):
        values = column[np.isfinite(column)]
        assert greatest[i] == values.max(initial=-math.inf)
        assert -negated_least[i] == values.min(initial=math.inf)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@few
def test_nonfinite_counts_and_sentinel(data, dtype):
    outputs = data.draw(layer_outputs(dtype))
    array = float64(outputs).numpy()
    nonfinite = not np.isfinite(array).all()

    [counts] = sampling.nonfinite_counts([outputs]).numpy()
    sentinel = sampling.sentinel(outputs)
    squares = sampling.sum_of_squares(outputs)

    assert counts.tolist() == [np.isnan(array).sum(), np.isinf(array).sum()]
    assert sentinel.dtype == squares.dtype == tf.float32
    for watch in (sentinel, squares):
        # It may trip on finite values, never fail to on others.
        assert not (nonfinite and np.isfinite(watch))
    if dtype == "float16" and not nonfinite:
        assert np.isfinite(sentinel)  # float16 itself would overflow


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_of_squares(dtype):
    gradient = tf.cast(tf.random.normal((64, 64), stddev=300.0, seed=0), dtype)
    expected = np.square(float64(gradient).numpy()).sum()

    found = sampling.sum_of_squares(gradient)

    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_counts_of_many_values_are_exact():
    # float32 stops counting at 2**24.
    ones = tf.ones([2**24 + 3], tf.float16) / tf.zeros([], tf.float16)
    np.testing.assert_array_equal(sampling.nonfinite_counts([ones]), [[0, 2**24 + 3]])


def test_side_by_side_pads_with_what_is_passed_over():
    matrices = [numbered((2, 3)), numbered((1, 2)), tf.zeros((0, 4), tf.float64)]

    values = sampling.side_by_side(matrices)

    nan = math.nan
    np.testing.assert_array_equal(
        values,
        [[0, 1, 2, 3, 4, 5], [0, 1, nan, nan, nan, nan], [nan] * 6],
    )
    moments = sampling.moments(values, tf.constant([[nan, nan]] * 3, tf.float64))
    assert moments[:, 0].numpy().tolist() == [6, 2, 0]


def test_moments_centre_before_they_square():
    values = 1e9 + np.array([[-1e-3, 0.0, 1e-3]])
    moments = sampling.moments(
        tf.constant(values), tf.constant([[np.nan, np.nan]], tf.float64)
    )
    expected = np.square(values - 1e9).sum()
    np.testing.assert_allclose(moments[0, 2].numpy(), expected, rtol=1e-6)


# Beyond float32: a float64 layer whose squares or differences overflow


def test_moments_of_huge_float64():
    values = tf.constant([[1e200, 1e200, 3e200, math.nan]], tf.float64)
    moments = sampling.moments(values, tf.constant([[math.nan, math.nan]], tf.float64))
    centred = moments[0, sampling.MOMENTS.index("centred_squares")]
    assert centred == math.inf  # the sum of the squares, NaN passed over


@pytest.mark.parametrize("value", [1e300, 1.7e308, -1e300, -1.7e308])
@pytest.mark.parametrize("limits", [(0.0, 1e-12), (-1e308, 1e307), (-1e307, 1e308)])
def test_histograms_of_huge_float64(value, limits):
    ranges = tf.constant([limits], tf.float64)
    counts = sampling.histograms(tf.constant([[value]], tf.float64), ranges)
    clipped = np.clip(value, *limits)
    bin_ = int((clipped - limits[0]) / (limits[1] - limits[0]) * sampling.BINS)
    assert counts.numpy().argmax() == min(bin_, sampling.BINS - 1)


# XLA


def everything(x):
    shift = step_shift(5)
    drawn = sampling.rows(x, 600, shift, 6)
    whole = sampling.rows(x[:2], 4096, shift, 6)
    values = sampling.side_by_side([drawn, whole])
    nan = math.nan
    ranges = sampling.settle_ranges(
        tf.constant([[nan, nan], [-1.0, 1.0]], tf.float64), values
    )
    thresholds = tf.constant([[-0.98, 0.98], [nan, 2.0]], tf.float64)
    return {
        "rows": drawn,
        "side_by_side": values,
        "settle_ranges": ranges,
        "moments": sampling.moments(values, thresholds),
        "histograms": sampling.histograms(values, ranges),
        "unit_extremes": sampling.unit_extremes(drawn),
        "nonfinite_counts": sampling.nonfinite_counts([x, whole]),
        "sentinel": sampling.sentinel(whole),
        "sentinel tripped": sampling.sentinel(x),
        "sum_of_squares": sampling.sum_of_squares(whole),
        "sum_of_squares tripped": sampling.sum_of_squares(x),
    }


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_same_under_xla(dtype):
    array = np.random.default_rng(0).normal(size=(32, 8, 8, 6))
    array[8:].ravel()[::7] = np.nan
    array[8:].ravel()[::11] = -np.inf
    x = tf.constant(array, dtype)

    compiled = tf.function(everything, jit_compile=True)(x)

    for name, expected in everything(x).items():
        rtol = 1e-5 if expected.dtype == tf.float32 else 1e-12
        np.testing.assert_allclose(
            compiled[name].numpy(), expected.numpy(), rtol=rtol, err_msg=name
        )
