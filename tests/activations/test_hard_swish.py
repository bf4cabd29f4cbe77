"""Hard-swish: how far value and gradient may be off, and what is kept."""

import numpy as np
import pytest

from benchmarks.numerics.inputs import inputs
from tests.activations.twins import (
    EPSILON,
    HALVES,
    computed,
    each_dtype,
    ulps,
    with_and_without_xla,
)


@each_dtype
@with_and_without_xla
def test_bounds(dtype, xla):
    errors = ulps("hard_swish", dtype, xla)
    # Compilers multiply by a rounded 1 / 6, and no formula that does not leave them
    # the division is a HARD_SWISH in TensorFlow Lite.
    assert np.nanmax(errors.value) <= (1 if dtype in HALVES else 2.5)
    assert np.nanmax(errors.relative_value) <= 2 * EPSILON[dtype]
    assert np.nanmax(errors.gradient) <= 4


@pytest.mark.parametrize("dtype", HALVES)
@with_and_without_xla
def test_monotonic_on_both_sides_of_its_least_value(dtype, xla):
    x = inputs(dtype)
    y, _ = computed("hard_swish", x, dtype, xla)
    assert (np.diff(y[x >= -1.5]) >= 0).all()
    assert (np.diff(y[x <= -1.5]) <= 0).all()
    assert y.min() == -0.375
