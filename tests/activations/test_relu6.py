"""ReLU6 has no rounding: it is exact in every type."""

import numpy as np

from benchmarks.numerics.inputs import inputs
from tests.activations.bounds import assert_bounds
from tests.activations.twins import computed, each_dtype, ulps, with_and_without_xla


@each_dtype
@with_and_without_xla
def test_exact(dtype, xla):
    assert_bounds("relu6", dtype, ulps("relu6", dtype, xla))


@each_dtype
@with_and_without_xla
def test_monotonic(dtype, xla):
    y, gradient = computed("relu6", inputs(dtype, 20_000), dtype, xla)
    assert (np.diff(y) >= 0).all()
    assert set(gradient) == {0.0, 1.0}
