"""The GELU against mpmath, and on a Keras without erfc."""

import math

import keras
import mpmath
import numpy as np
import pytest
import tensorflow as tf

from tests.activations.twins import (
    TINY,
    ULP,
    compiled,
    measure,
    to_float64,
    twin,
    with_and_without_xla,
)


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
