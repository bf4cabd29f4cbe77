"""The pure functions against float64 SciPy and mpmath, in every dtype, with XLA."""

import functools
import math

import hypothesis
import keras
import mpmath
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from keras_activations.activations import functional
from keras_activations.activations.clipped_tanh import GREATEST_LIMIT

DTYPES = ("float16", "bfloat16", "float32", "float64")
# Smallest normal number, and relative width of a unit in the last place.
TINY = {"float16": 2**-14, "bfloat16": 2**-126, "float32": 2**-126, "float64": 2**-1022}
ULP = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
BITS = {"float16": "uint16", "bfloat16": "uint16", "float32": "uint32"} | {
    "float64": "uint64"
}
FUNCTIONS = {
    "clipped_tanh": functional.clipped_tanh,
    "inward": functools.partial(functional.clipped_tanh, outside_gradient="inward"),
    "straight": functools.partial(
        functional.clipped_tanh, limit=1.25, outside_gradient="straight_through"
    ),
    "relu6": functional.relu6,
    "hard_swish": functional.hard_swish,
    "gelu": functional.stable_gelu,
    "gelu_tanh": functools.partial(functional.stable_gelu, approximate=True),
}
GELUS = ("gelu", "gelu_tanh")
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
with_and_without_xla = pytest.mark.parametrize("xla", [False, True])


@functools.cache
def compiled(name, xla):
    @tf.function(jit_compile=xla, autograph=False)
    def value_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = FUNCTIONS[name](x)
        return y, tape.gradient(y, x)

    return value_and_gradient


def measure(name, x, xla):
    """Value and gradient, with an upstream gradient of 1, as float64."""
    y, gradient = compiled(name, xla)(x)
    assert y.dtype == gradient.dtype == x.dtype
    return to_float64(y), to_float64(gradient)


def to_float64(x):
    return tf.cast(x, "float64").numpy()


def twin(name, x):
    """Value and derivative in float64, by other formulas."""
    if name in ("clipped_tanh", "inward", "straight"):
        limit = 1.25 if name == "straight" else 3.0
        inside = np.abs(x) <= limit
        # The upstream gradient is 1: "inward" lets what lies above come down.
        passes = {"inward": inside | (x > limit), "straight": True}.get(name, inside)
        y = np.tanh(np.clip(x, -limit, limit))
        return y, np.where(passes, 1 / np.cosh(np.clip(x, -limit, limit)) ** 2, 0.0)
    if name == "relu6":
        return np.clip(x, 0, 6), ((x > 0) & (x < 6)).astype("float64")
    if name == "hard_swish":
        middle = np.clip(x, -3, 3)
        y = np.where(x >= 3, x, np.where(x <= -3, 0.0, middle * (middle + 3) / 6))
        slope = np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, middle / 3 + 0.5))
        return y, slope
    near = np.clip(x, -40, 40)
    if name == "gelu":
        density = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
        return x * special.ndtr(x), special.ndtr(x) + near * density
    scale = 2 * math.sqrt(2 / math.pi)
    t = scale * (near + 0.044715 * near**3)
    slope = scale * (1 + 3 * 0.044715 * near**2)
    s = special.expit(t)
    return x * s, s * (1 + near * special.expit(-t) * slope)


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


@pytest.mark.parametrize("x", [-37.5, -20.0, -12.5, -5.5, -1.0, -1e-3, 0.5, 4.0])
def test_gelu_against_mpmath(x):
    def exact(v):
        return v * mpmath.ncdf(v)

    def approximate(v):
        inner = mpmath.sqrt(2 / mpmath.pi) * (v + mpmath.mpf("0.044715") * v**3)
        return v / 2 * (1 + mpmath.tanh(inner))

    with mpmath.workdps(800):  # 1 + tanh cancels 500 digits at -20
        for name, formula in (("gelu", exact), ("gelu_tanh", approximate)):
            value, slope = formula(mpmath.mpf(x)), mpmath.diff(formula, x)
            if abs(value) < 1e-300:
                continue
            y, gradient = measure(name, tf.constant([x], "float64"), False)
            np.testing.assert_allclose(y[0], float(value), rtol=1e-12)
            np.testing.assert_allclose(gradient[0], float(slope), rtol=2e-12)


@with_and_without_xla
def test_gelu_without_erfc_in_keras(monkeypatch, xla):
    monkeypatch.delattr(keras.ops, "erfc")
    for dtype, rtol in (
        ("float32", 2e-5),
        ("float64", 1e-6),
        ("float16", ULP["float16"]),
    ):
        x = tf.cast(np.linspace(-16, 16, 50_001), dtype)
        value_and_gradient = compiled.__wrapped__("gelu", xla)
        y, gradient = (to_float64(v) for v in value_and_gradient(x))
        expected, slope = twin("gelu", to_float64(x))
        atol = 64 * TINY[dtype] if dtype != "float16" else TINY[dtype] * ULP[dtype]
        assert np.all(np.abs(y - expected) <= rtol * np.abs(expected) + atol)
        near_zero = np.abs(to_float64(x) + 0.75) < 0.3
        scale = np.where(near_zero, 0.1, np.abs(slope))
        assert np.all(np.abs(gradient - slope) <= 2 * rtol * scale + 64 * atol)
        extremes = tf.constant([-math.inf, math.inf, -3e38, 3e38], "float32")
        y, gradient = value_and_gradient(extremes)
        np.testing.assert_array_equal(y[:2], [0.0, math.inf])
        assert np.isfinite(gradient[2:]).all()


@each_dtype
@with_and_without_xla
def test_clipped_tanh_stays_inside_the_open_interval(dtype, xla):
    x = tf.cast(np.linspace(-60, 60, 30_001), dtype)
    for limit in (3.0, GREATEST_LIMIT[dtype]):

        @tf.function(jit_compile=xla, autograph=False)
        def run(x, limit=limit):
            return functional.clipped_tanh(x, limit)

        assert np.abs(to_float64(run(x))).max() < 1
    if dtype == "bfloat16":  # its neighbour below 1
        assert to_float64(functional.clipped_tanh(x)).max() == 0.99609375


@each_dtype
def test_a_limit_that_rounds_to_one_is_refused(dtype):
    greatest = GREATEST_LIMIT[dtype]
    with pytest.raises(ValueError, match=f"{dtype}.*{greatest}.*Received: limit=19.1"):
        functional.clipped_tanh(tf.zeros(3, dtype), 19.1)


@pytest.mark.parametrize("limit", [0, -1.0, math.inf, math.nan, "3", None])
def test_a_bad_limit_is_refused(limit):
    with pytest.raises(ValueError, match="positive, finite.*Received: limit="):
        functional.clipped_tanh(tf.zeros(3), limit)


def test_a_bad_outside_gradient_is_refused():
    with pytest.raises(ValueError, match="'inward'.*Received: outside_gradient='out'"):
        functional.clipped_tanh(tf.zeros(3), outside_gradient="out")


@pytest.mark.parametrize(
    ("option", "passes"),
    [
        # x:  4,    4,   -4,    -4, the limit itself twice; upstream +, -, +, -, +, -
        ("zero", [0, 0, 0, 0, 1, 1]),
        ("inward", [1, 0, 0, 1, 1, 1]),
        ("straight_through", [1, 1, 1, 1, 1, 1]),
    ],
)
@with_and_without_xla
def test_gradient_outside_the_limit(option, passes, xla):
    upstream = tf.constant([2.0, -2.0, 2.0, -2.0, 2.0, -2.0])
    x = tf.constant([4.0, 4.0, -4.0, -4.0, 3.0, 3.0])

    @tf.function(jit_compile=xla, autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = functional.clipped_tanh(x, outside_gradient=option)
        return tape.gradient(y, x, output_gradients=upstream)

    expected = np.array(passes) * upstream.numpy() / np.cosh(3.0) ** 2
    np.testing.assert_allclose(gradient(), expected, rtol=1e-4)


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
