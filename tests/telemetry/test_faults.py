"""NaN and Inf: what trips the sentinel, and counts that are exact."""

import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from keras_activations.telemetry import faults
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.record import StepRecord

DTYPES = ["float16", "bfloat16", "float32", "float64"]
NAN, INF = math.nan, math.inf


@st.composite
def tensors(draw, dtype):
    width = {"float16": 16, "float64": 64}.get(dtype, 32)
    values = st.floats(width=width) | st.floats(-8, 8, width=width)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
    array = draw(hnp.arrays(f"float{width}", shape, elements=values))
    return tf.cast(tf.constant(array), dtype)


def float64(tensor):
    return tf.cast(tensor, tf.float64).numpy()


# One tensor


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=60)
def test_counts_are_exact_and_the_sentinel_never_fails_to_trip(data, dtype):
    tensor = data.draw(tensors(dtype))
    array = float64(tensor)
    nonfinite = not np.isfinite(array).all()

    counts = faults.nonfinite_count(tensor).numpy()
    sentinel = faults.sentinel(tensor)
    (squares,) = faults.sums_of_squares([tensor])

    assert counts.tolist() == [np.isnan(array).sum(), np.isinf(array).sum()]
    assert sentinel.dtype == squares.dtype == tf.float32
    for watch in (sentinel, squares):
        # It may trip on finite values, never fail to on others.
        assert not (nonfinite and np.isfinite(watch))
    if dtype == "float16" and not nonfinite:
        assert np.isfinite(sentinel)  # float16 itself would overflow


def test_infinities_of_both_signs_do_not_cancel():
    for values in ([INF, -INF], [INF, -1.0], [-INF, 0.0], [NAN, 0.0]):
        assert not np.isfinite(faults.sentinel(tf.constant(values)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_squares(dtype):
    gradient = tf.cast(tf.random.normal((64, 64), stddev=300.0, seed=0), dtype)
    expected = np.square(float64(gradient)).sum()

    (found,) = faults.sums_of_squares([gradient])

    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_counts_of_many_values_are_exact():
    # float32 stops counting at 2**24.
    nan, inf = tf.fill([2**24 + 5], NAN), tf.fill([2**24 + 3], -INF)
    both = tf.cast(tf.concat([nan, inf], axis=0), tf.float16)
    counts = faults.nonfinite_count(both).numpy()
    assert counts.tolist() == [2**24 + 5, 2**24 + 3]


# Gradients


def test_watched_values_are_the_gradients_own():
    small, large = tf.constant([[-1.0, NAN]]), tf.ones([faults.SMALL])
    assert faults.watched_values(small, xla=False) is small
    assert faults.watched_values(large, xla=True) is large
    # Of an embedding those of the rows that were looked up.
    slices = tf.IndexedSlices(small, tf.constant([7]), tf.constant([9, 2]))
    assert faults.watched_values(slices, xla=False) is small


def test_small_gradients_of_a_fused_step_are_watched_by_their_magnitude():
    values = tf.constant([[-3.0, NAN, -INF, 4.0]])
    slices = tf.IndexedSlices(values, tf.constant([7]), tf.constant([9, 4]))
    for gradient in (values, slices):
        watched = faults.watched_values(gradient, xla=True)
        np.testing.assert_array_equal(watched, [[3.0, NAN, INF, 4.0]])
        assert faults.nonfinite_count(watched).numpy().tolist() == [1, 1]


# A step


def recorded(outputs=(), loss=None, gradients=(), inputs=()):
    record = StepRecord(tf.constant(1, tf.int64), sampling=tf.constant(False))
    record.outputs = [(None, tf.constant(x)) for x in outputs]
    if loss is not None:
        record.add_loss(loss)
    record.gradients = [(None, tf.constant(x)) for x in gradients]
    record.squares = faults.sums_of_squares([x for _, x in record.gradients])
    record.batch = [[tf.constant(x) for x in inputs], [], []]
    return record


FINE = {
    "outputs": [[1.0, -2.0], [0.0]],
    "loss": 0.5,
    "gradients": [[3.0], [-1e4, 1e4]],
    "inputs": [[1.0]],
}


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_healthy(bad):
    assert faults.healthy(recorded(**FINE))
    for place in (
        {"outputs": [[1.0, 2.0], [bad]]},
        {"outputs": [[bad, -bad], [0.0]]},
        {"loss": bad},
        {"loss": np.float32(bad)},
        {"gradients": [[3.0], [bad, -bad]]},
    ):
        assert not faults.healthy(recorded(**FINE | place))
    # A fault of the batch is one of the step as soon as a layer sees it.
    assert faults.healthy(recorded(**FINE | {"inputs": [[bad]]}))


def test_a_step_without_anything_to_watch_is_healthy():
    assert faults.healthy(recorded())
    assert faults.healthy(recorded(loss=1.0))
    assert not faults.healthy(recorded(loss=NAN))


def test_sums_that_overflow_trip_the_sentinel_and_are_no_faults():
    huge = [3e38, 3e38]
    for place in ({"outputs": [huge]}, {"gradients": [huge]}):
        record = recorded(**place)
        assert not faults.healthy(record)
        layers = [(None, [x]) for _, x in record.outputs]
        assert not faults.counts(record, layers).numpy().any()


def layout_of(layers, weights):
    return Layout(
        tuple(LayerEntry(path, None, None, False, None, True) for path in layers),
        tuple(WeightEntry(path, path[0]) for path in weights),
    )


@pytest.mark.parametrize("loss", [None, NAN, np.float16(NAN), keras.ops.array(NAN)])
def test_counts_are_in_the_order_of_the_sources(loss):
    record = recorded(
        loss=loss,
        gradients=[[NAN, INF, 1.0], [2.0]],
        inputs=[[NAN, NAN, NAN], [[INF, -INF]]],
    )
    first, again = tf.constant([NAN, 1.0, INF]), tf.constant([NAN], tf.float16)
    layers = [("a", [first, again]), ("b", [tf.ones(3)])]  # "a" was called twice
    layout = layout_of("ab", ["a/kernel", "b/kernel"])

    counts = faults.counts(record, layers)

    assert counts.dtype == tf.float64
    assert dict(zip(layout.sources, counts.numpy().tolist(), strict=True)) == {
        ("output", "a"): [2, 1],
        ("output", "b"): [0, 0],
        ("loss", "loss"): [0 if loss is None else 1, 0],
        ("gradient", "a/kernel"): [1, 1],
        ("gradient", "b/kernel"): [0, 0],
        ("batch", "batch"): [3, 2],
    }


# XLA


def test_the_same_under_xla():
    array = np.random.default_rng(0).normal(size=(6, 500))
    array[3:].ravel()[::7] = NAN
    array[3:].ravel()[::11] = -INF

    def watch(x):
        found = {}
        for dtype in ("float16", "float32"):
            fine, bad = tf.split(tf.cast(x, dtype), 2)
            for name, y in (("fine", fine), ("bad", bad)):
                found[dtype, name] = [
                    faults.sentinel(y),
                    *faults.sums_of_squares([faults.watched_values(y, xla=True)]),
                    faults.nonfinite_count(y),
                ]
        return found

    compiled = tf.function(watch, jit_compile=True, autograph=False)(array)

    for name, expected in watch(array).items():
        for x, y in zip(compiled[name], expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-3, err_msg=name)
