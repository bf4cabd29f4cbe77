"""GELU, both forms: how far value and gradient may be off, down the negative tail."""

import keras
import numpy as np
import pytest

from benchmarks.numerics.inputs import inputs
from tests.activations.bounds import HALVES, assert_bounds
from tests.activations.twins import computed, each_dtype, ulps, with_and_without_xla

each_form = pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])


@each_form
@each_dtype
@with_and_without_xla
def test_bounds(name, dtype, xla):
    assert_bounds(name, dtype, ulps(name, dtype, xla))


@each_form
@pytest.mark.parametrize("dtype", HALVES)
@with_and_without_xla
def test_monotonic_on_both_sides_of_its_least_value(name, dtype, xla):
    y, _ = computed(name, inputs(dtype), dtype, xla)
    lowest = np.argmin(y)
    assert (np.diff(y[: lowest + 1]) <= 0).all()
    assert (np.diff(y[lowest:]) >= 0).all()


@each_form
def test_the_tail_is_not_cut_off(name):
    # Keras's approximate form is 0 from about -5 on.
    y, gradient = computed(name, np.array([-5.5, -9.0]), "float32", False)
    assert (y < 0).all()
    assert (gradient < 0).all()
    assert keras.activations.gelu(np.float32([-5.5]), approximate=True)[0] == 0
