"""Hard-swish: how far value and gradient may be off, and what is kept."""

import numpy as np
import pytest

from benchmarks.numerics.inputs import inputs
from tests.activations.bounds import HALVES, assert_bounds
from tests.activations.twins import computed, each_dtype, ulps, with_and_without_xla


@each_dtype
@with_and_without_xla
def test_bounds(dtype, xla):
    assert_bounds("hard_swish", dtype, ulps("hard_swish", dtype, xla))


@pytest.mark.parametrize("dtype", HALVES)
@with_and_without_xla
def test_monotonic_on_both_sides_of_its_least_value(dtype, xla):
    x = inputs(dtype)
    y, _ = computed("hard_swish", x, dtype, xla)
    assert (np.diff(y[x >= -1.5]) >= 0).all()
    assert (np.diff(y[x <= -1.5]) <= 0).all()
    assert y.min() == -0.375
