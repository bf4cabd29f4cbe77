"""The pure functions against float64 SciPy, in every dtype, with XLA."""

import math

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.activations.twins import (
    FUNCTIONS,
    TINY,
    ULP,
    each_dtype,
    each_function,
    measure,
    to_float64,
    twin,
    with_and_without_xla,
)

BITS = {"float16": "uint16", "bfloat16": "uint16", "float32": "uint32"} | {
    "float64": "uint64"
}
GELUS = ("gelu", "gelu_tanh")


def assert_close(name, dtype, x, y, gradient):
    expected, slope = twin(name, x)
    ulp, tiny = ULP[dtype], TINY[dtype]
    half = dtype in ("float16", "bfloat16")
    if name in GELUS:
        rtol = {"float32": 2e-5, "float64": 1e-12}.get(dtype, ulp)
        gradient_rtol = {"float32": 5e-5, "float64": 1e-12}.get(dtype, ulp)
        # The derivative has a zero near -0.75.
        scale = np.where(np.abs(x + 0.75) < 0.3, 0.1, np.abs(slope))
    else:
        rtol, scale = 2 * ulp if half else 4 * ulp, np.maximum(np.abs(slope), 1.0)
        gradient_rtol = 4 * ulp
    # erfc and the logistic underflow a little before their product with x does.
    # float16 does not: it is computed in float32 and rounded to a subnormal.
    atol = tiny * ulp if dtype == "float16" else 64 * tiny
    error = np.abs(y - expected)
    worst = np.argmax(error - rtol * np.abs(expected))
    assert np.all(error <= rtol * np.abs(expected) + atol), (x[worst], y[worst])
    # Next to a kink the rounding of x + 3, or of a subnormal x, chooses the side.
    smooth = np.abs(x) >= tiny
    if name == "hard_swish":
        smooth = np.abs(np.abs(x) - 3) > 8 * ulp
    error = np.where(smooth, np.abs(gradient - slope), 0.0)
    worst = np.argmax(error - gradient_rtol * scale)
    assert np.all(error <= gradient_rtol * scale + 64 * atol), (
        x[worst],
        gradient[worst],
        slope[worst],
    )


@each_function
@each_dtype
@with_and_without_xla
def test_dense_grid(name, dtype, xla):
    grid = np.concatenate(
        [
            np.linspace(-16, 16, 100_001),
            np.linspace(-45, 45, 20_001),
            np.geomspace(1e-9, 6e4, 5_001),
            -np.geomspace(1e-9, 6e4, 5_001),
        ]
    )
    x = tf.cast(grid, dtype)
    assert_close(name, dtype, to_float64(x), *measure(name, x, xla))


@each_function
@each_dtype
@with_and_without_xla
def test_extremes_and_kinks_are_finite(name, dtype, xla):
    kinks = [0.0, 1.25, 3.0, 6.0, 11.0, 15.0, 22.0, 39.0]
    values = kinks + [math.nextafter(k, 99.0) for k in kinks]
    values += [float(tf.as_dtype(dtype).max), TINY[dtype], TINY[dtype] * ULP[dtype]]
    x = tf.cast(np.array(values + [-value for value in values]), dtype)
    y, gradient = measure(name, x, xla)
    assert np.isfinite(y).all()
    assert np.isfinite(gradient).all()
    if name not in ("relu6", "clipped_tanh"):
        assert_close(name, dtype, to_float64(x), y, gradient)


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
    if finite.any():
        parts = x[finite], y[finite], gradient[finite]
        assert_close(name, dtype, *parts)


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
        np.testing.assert_allclose(y, expected * 16, rtol=2 * ULP[dtype])


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


@pytest.mark.parametrize(
    ("name", "operation"),
    [("relu6", "RELU6"), ("hard_swish", "HARD_SWISH"), ("gelu", "GELU")],
)
# The interpreter moved to another package and warns of it.
@pytest.mark.filterwarnings("ignore")
def test_tensorflow_lite_knows_the_operation(name, operation):
    spec = tf.TensorSpec((1, 8), "float32")
    traced = tf.function(FUNCTIONS[name], autograph=False).get_concrete_function(spec)
    converted = tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert()
    interpreter = tf.lite.Interpreter(model_content=converted)
    found = [details["op_name"] for details in interpreter._get_ops_details()]
    assert operation in found
    assert len(set(found) - {operation, "MAXIMUM", "DELEGATE"}) == 0
