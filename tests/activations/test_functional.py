"""What holds for each of the pure functions, in every dtype, with XLA."""

import math

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.numerics.references import REFERENCES, reference
from tests.activations.bounds import EPSILON
from tests.activations.twins import (
    FUNCTIONS,
    TINY,
    each_dtype,
    each_function,
    measure,
    to_float64,
    with_and_without_xla,
)

BITS = {"float16": "uint16", "bfloat16": "uint16", "float32": "uint32"} | {
    "float64": "uint64"
}


@each_function
@each_dtype
@with_and_without_xla
def test_extremes_and_kinks_are_finite(name, dtype, xla):
    kinks = [0.0, 1.25, 3.0, 6.0, 11.0, 15.0, 22.0, 39.0]
    values = kinks + [math.nextafter(k, 99.0) for k in kinks]
    values += [float(tf.as_dtype(dtype).max), TINY[dtype], TINY[dtype] * EPSILON[dtype]]
    x = tf.cast(np.array(values + [-value for value in values]), dtype)
    y, gradient = measure(name, x, xla)
    assert np.isfinite(y).all()
    assert np.isfinite(gradient).all()


@each_function
@each_dtype
@with_and_without_xla
@hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
@hypothesis.given(data=st.data())
def test_random_bit_patterns(name, dtype, xla, data):
    bits = data.draw(arrays(BITS[dtype], 64))
    x = tf.bitcast(tf.constant(bits), dtype)
    y, gradient = measure(name, x, xla)
    x = to_float64(x)
    finite = np.isfinite(x)
    assert np.isfinite(y[finite]).all()
    assert np.isfinite(gradient[finite]).all()
    assert np.isnan(y[np.isnan(x)]).all()
    if name in REFERENCES:
        true, _ = reference(name, x[finite])
        # Far from sharp; the test of each function holds its bounds.
        bound = max(2 * EPSILON[dtype], 2e-5 if dtype == "float32" else 1e-12)
        error = np.abs(y[finite] - true)
        assert (error <= bound * np.abs(true) + 64 * TINY[dtype]).all()


@each_dtype
@with_and_without_xla
def test_infinities_give_the_limit(dtype, xla):
    x = tf.cast([math.inf, -math.inf] * 16, dtype)
    limits = {
        "clipped_tanh": (np.tanh(3.0), -np.tanh(3.0)),
        "relu6": (6.0, 0.0),
        "hard_swish": (math.inf, math.nan),  # the documented exception
        "gelu": (math.inf, 0.0),
        "gelu_tanh": (math.inf, 0.0),
    }
    for name, expected in limits.items():
        y, _ = measure(name, x, xla)
        np.testing.assert_allclose(y, expected * 16, rtol=4 * EPSILON[dtype])


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"relu6"}))
@each_dtype
@with_and_without_xla
def test_sign_of_zero_is_kept(name, dtype, xla):
    y, _ = measure(name, tf.cast([0.0, -0.0] * 16, dtype), xla)
    assert (y == 0).all()
    assert (np.signbit(y) == [False, True] * 16).all()


@each_function
def test_static_shape_is_kept(name):
    spec = tf.TensorSpec((None, 4, None), "float32")
    traced = tf.function(FUNCTIONS[name], autograph=False).get_concrete_function(spec)
    assert traced.output_shapes.as_list() == [None, 4, None]


@each_function
def test_lists_arrays_and_integers_are_taken(name):
    function = FUNCTIONS[name]
    expected = function(tf.constant([-1.0, 2.0]))
    for x in ([-1.0, 2.0], [-1, 2], np.array([-1, 2]), tf.Variable([-1.0, 2.0])):
        np.testing.assert_array_equal(function(x), expected)
    assert function(np.zeros(2)).dtype == "float64"


@each_function
def test_symbolic_tensors_become_a_layer_that_is_saved(name, tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, FUNCTIONS[name](inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.linspace(-5, 5, 12, dtype="float32").reshape(4, 3)
    predicted = loaded.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, FUNCTIONS[name](x), rtol=1e-6)
