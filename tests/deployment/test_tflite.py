"""TensorFlow Lite: fused operations, float results, and int8 within a step."""

import keras
import numpy as np
import pytest

from benchmarks.deployment.lite import Lite
from benchmarks.deployment.models import (
    LAYERS,
    alone,
    functional,
    samples,
    sequential,
)

FUSED = [name for name, (_, operations) in LAYERS.items() if operations]
AROUND = {"FULLY_CONNECTED", "CONV_2D", "MEAN"}
# The interpreter moved to another package and warns of it.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", FUSED)
def test_alone_it_is_the_fused_operation_in_float_and_int8(name):
    make, operations = LAYERS[name]
    model = alone(make())
    x = samples(model)
    plain, whole = Lite.convert(model), Lite.convert(model, x)
    assert plain.operations() == whole.operations() == set(operations)
    np.testing.assert_allclose(plain.run(x), model.predict(x, verbose=0), atol=2e-6)
    assert whole.kinds() <= {"int8", "int32"}
    rounded = model.predict(whole.rounded(x), verbose=0)
    assert np.max(np.abs(whole.run(x) - rounded)) <= whole.step


@pytest.mark.parametrize("build", [sequential, functional])
@pytest.mark.parametrize("name", FUSED)
def test_between_other_layers(name, build):
    make, operations = LAYERS[name]
    keras.utils.set_random_seed(0)
    model = build(make())
    x = samples(model)
    plain, whole = Lite.convert(model), Lite.convert(model, x)
    # A rectifier is fused into the layer before it.
    wanted = AROUND | set(operations) - {"RELU6"}
    assert plain.operations() <= wanted
    assert whole.operations() <= wanted
    assert set(operations) - {"RELU6"} <= whole.operations()
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(plain.run(x), expected, atol=1e-5)
    assert whole.kinds() <= {"int8", "int32"}
    # Each of the layers adds its own rounding.
    assert np.max(np.abs(whole.run(x) - expected)) <= 4 * whole.step


def test_the_approximate_gelu_converts_in_float():
    model = alone(LAYERS["StableGELU(approximate=True)"][0]())
    x = samples(model)
    converted = Lite.convert(model)
    np.testing.assert_allclose(converted.run(x), model.predict(x, verbose=0), atol=2e-6)
