"""Samples drawn in the step: no place is preferred, no padding is taken for data."""

import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings

from keras_activations.telemetry import sampling
from keras_activations.telemetry.sampling import step_shift

DTYPES = ["float16", "bfloat16", "float32", "float64"]
few = settings(max_examples=40)


def numbered(shape):
    """A tensor whose values are their own index."""
    return tf.reshape(tf.range(math.prod(shape), dtype=tf.float64), shape)


def draw(shape, limit, step, units=1):
    return sampling.rows(numbered(shape), limit, step_shift(step), units)[0]


# Which rows


@pytest.mark.parametrize("shape", [(), (1,), (7, 6), (32, 8, 8, 6)])
@pytest.mark.parametrize("spare", [0, 1, 5000])
@pytest.mark.parametrize("whole_units", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_every_row_once_and_in_order_when_all_fit(shape, spare, whole_units, whole):
    units = shape[-1] if whole_units and shape else 1
    size = math.prod(shape)

    rows, kept = sampling.rows(
        numbered(shape), size + spare, step_shift(3), units, whole=whole
    )

    np.testing.assert_array_equal(rows, np.arange(size).reshape(-1, units))
    assert kept is None


@pytest.mark.parametrize(
    ("available", "wanted"),
    [(3, 2), (11, 10), (100, 99), (1000, 700), (1536, 1000), (1999, 1000)]
    + [(4097, 4096), (5000, 4096), (12288, 1000), (12288, 1024), (2**20, 4096)],
)
def test_no_row_twice(available, wanted):
    for step in range(1, 12):
        rows = draw((available,), wanted, step)[:, 0].numpy()
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
    look = tf.function(lambda step: draw(shape, limit, step, units)[:, 0])
    steps = tf.range(1, 200 * every, every, tf.int64)
    rows = np.stack([look(step) for step in steps])
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


@pytest.mark.parametrize("batch", [0, 1, 2, 32])
def test_batch_size_unknown_while_tracing(batch):
    def look(x, mask):
        shift, floor = step_shift(7), (200.0, 300.0)
        return (
            sampling.values(x, mask, shift, 600, "float64"),
            sampling.alive_units(x, mask, shift, 6, floor, 600),
        )

    signature = [
        tf.TensorSpec([None, 8, 8, 6], tf.float64),
        tf.TensorSpec([None], tf.bool),
    ]
    shape = (batch, 8, 8, 6)
    inputs = numbered(shape), tf.constant(np.arange(batch) % 3 != 1, tf.bool)

    traced = tf.function(look, input_signature=signature)(*inputs)

    for found, expected in zip(traced, look(*inputs), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_many_layers_and_weights_share_a_bounded_memory():
    for number in (0, 1, 10, 100, 1000):
        for every in (1, 10, 10**6):
            assert number * sampling.values_wanted(number, every) <= 2**20
        assert number * sampling.weight_entries(number) <= 2**18
    assert sampling.values_wanted(10**6, 1) > 0
    assert sampling.weight_entries(10**6) > 0
    assert sampling.unit_values_wanted(1) < sampling.unit_values_wanted(10**6) <= 2**17


# Values and units, with and without padding


@st.composite
def masks(draw, shape):
    """None, or a mask over the leading axes, down to single positions."""
    leading = shape[: draw(st.integers(1, len(shape) - 1))]
    return draw(st.none() | hnp.arrays(bool, leading))


@given(
    data=st.data(),
    shape=st.sampled_from([(5, 3), (4, 3, 1), (2, 3, 2, 2), (1, 1)]),
    wanted=st.sampled_from([1, 7, 40]),
)
@few
def test_values_are_those_that_are_no_padding(data, shape, wanted):
    mask = data.draw(masks(shape))
    drawn = draw(shape, wanted, 5)[:, 0].numpy()

    found = sampling.values(numbered(shape), mask, step_shift(5), wanted, "float64")

    expected = np.full(wanted, math.nan)
    expected[: len(drawn)] = drawn
    if mask is not None:
        places = np.unravel_index(drawn.astype(int), shape)[: mask.ndim]
        expected[: len(drawn)][~mask[places]] = math.nan
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kept_as", ["float32", "float64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_lose_no_digits(dtype, kept_as):
    tensor = tf.cast(tf.constant([1 / 3, math.inf, -math.inf, math.nan, 6e4]), dtype)

    found = sampling.values(tensor, None, step_shift(1), 5, kept_as)

    assert found.dtype == kept_as
    np.testing.assert_array_equal(found, tf.cast(tensor, kept_as))


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    data=st.data(),
    shape=st.sampled_from([(5, 3), (1, 3), (2, 3, 3)]),
    # Multiples of 1/64: the distance from the floor is exact in every dtype.
    floor=st.sampled_from([(0.0, 0.0), (-0.125, 0.0), (0.25, 0.75)]),
    wanted=st.sampled_from([3, 1000]),
)
@few
def test_alive_units(data, dtype, shape, floor, wanted):
    values = st.integers(-64, 64).map(lambda n: n / 64)
    values |= st.sampled_from([*floor, math.nan, math.inf, -math.inf])
    array = data.draw(hnp.arrays("float64", shape, elements=values))
    mask = data.draw(masks(shape))
    rows = draw(shape, wanted, 5, units=3)[:, 0].numpy().astype(int)
    seen = array.reshape(-1, 3)[rows // 3]
    if mask is not None:
        seen = seen[mask[np.unravel_index(rows, shape)[: mask.ndim]]]

    found = sampling.alive_units(
        tf.constant(array, dtype), mask, step_shift(5), 3, floor, wanted
    )

    # NaN is no floor: of such a unit nothing is known.
    at_floor = (seen >= floor[0]) & (seen <= floor[1])
    np.testing.assert_array_equal(found, (~at_floor).any(axis=0))


def test_one_unit_per_position_and_its_mask():
    x = tf.constant([[[0.0], [1.0]], [[0.0], [0.0]]])
    for mask, alive in (
        ([[True, True], [True, True]], True),
        ([[True, False], [True, True]], False),
        ([[False, False], [False, False]], False),
    ):
        mask = tf.constant(mask)
        found = sampling.alive_units(x, mask, step_shift(1), 1, (0.0, 0.0), 100)
        assert found.numpy().tolist() == [alive]


def test_a_mask_over_single_values():
    # A layer that takes the last axis of one away hands on its mask.
    x = tf.constant([[0.0, 5.0, 0.0], [0.0, 5.0, 5.0]])
    mask = tf.constant([[True, False, True], [True, False, True]])
    values = sampling.values(x, mask, step_shift(1), 6, "float32")
    np.testing.assert_array_equal(values, [0, math.nan, 0, 0, math.nan, 5])
    alive = sampling.alive_units(x, mask, step_shift(1), 3, (0.0, 0.0), 6)
    assert alive.numpy().tolist() == [False, False, True]


# Weights


@pytest.mark.parametrize(
    "shape",
    [(1,), (7,), (4096,), (64, 64), (100, 41), (512, 64), (64, 512), (784, 300)]
    + [(1000, 1000), (3, 3, 64, 64), (5, 5, 64, 64), (30, 2310), (2048, 3, 16)],
)
def test_each_row_and_column_of_a_kernel_is_seen(shape):
    size = math.prod(shape)
    kernel = keras.Variable(np.arange(size, dtype="float32").reshape(shape))

    entries = sampling.sampled_weights([kernel], 4096).numpy().astype(int)

    assert sampling.sampled_weight_sizes([kernel], 4096) == [len(entries)]
    assert len(np.unique(entries)) == len(entries)
    assert min(size, 2048) <= len(entries) <= max(4096, min(size, 8191))
    for places, length in zip(np.unravel_index(entries, shape), shape, strict=True):
        counts = np.bincount(places, minlength=length)
        assert counts.min() > 0
        assert counts.max() <= 1.2 * counts.mean() + 2


def test_weights_side_by_side_in_float64():
    arrays = [np.full((2, 3), 1 / 3), np.full(4, 7.0), np.full((), -0.5)]
    dtypes = ["float64", "float16", "float32"]
    pairs = zip(arrays, dtypes, strict=True)
    variables = [keras.Variable(array, dtype=dtype) for array, dtype in pairs]

    entries = sampling.sampled_weights(variables, 100)

    assert entries.dtype == tf.float64
    np.testing.assert_array_equal(entries, [1 / 3] * 6 + [7] * 4 + [-0.5])
    assert sampling.sampled_weight_sizes(variables, 100) == [6, 4, 1]


def test_weights_in_units_of_what_is_learnt():
    kernel, bias = (keras.Variable(np.ones(shape, "f4")) for shape in [(50, 60), (60,)])
    rows = np.arange(50.0)[:, None]
    plain = sampling.sampled_weights([kernel, bias], 200)
    units = {id(kernel): rows}
    found = sampling.sampled_weights([kernel, bias], 200, lambda v: units.get(id(v)))
    assert found.shape == plain.shape
    # Each row is as often among the entries as any other.
    assert abs(np.mean(found[:-60]) - rows.mean()) < 1
    np.testing.assert_array_equal(found[-60:], 1)


# XLA


def everything(x, mask):
    found = {}
    shift = step_shift(5)
    for dtype in ("float16", "float32"):
        y = tf.cast(x, dtype)
        for masked, m in ((False, None), (True, mask)):
            found[dtype, masked] = [
                *sampling.rows(y, 600, shift, 6, m)[: 1 + masked],
                sampling.values(y, m, shift, 1000, "float32"),
                sampling.values(y, m, shift, 2**16, "float32"),
                sampling.alive_units(y, m, shift, 6, (-3.0, 3.0), 600),
            ]
    return found


def test_the_same_under_xla():
    array = np.random.default_rng(0).normal(size=(32, 8, 8, 6))
    array[8:].ravel()[::7] = np.nan
    array[8:].ravel()[::11] = -np.inf
    array[:, :, :, 2:] = np.clip(array[:, :, :, 2:], -2, 2)  # at the floor, or NaN
    array[:, :, :, 4] = 0
    mask = np.random.default_rng(1).random((32, 8)) < 0.7
    inputs = tf.constant(array), tf.constant(mask)

    compiled = tf.function(everything, jit_compile=True, autograph=False)(*inputs)

    for name, expected in everything(*inputs).items():
        for x, y in zip(tf.nest.flatten(compiled[name]), expected, strict=False):
            np.testing.assert_array_equal(x, y, err_msg=name)
