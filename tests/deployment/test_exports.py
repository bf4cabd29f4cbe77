"""SavedModel without this package, ONNX, and Keras's own int8."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from benchmarks.deployment.command import onnx
from benchmarks.deployment.models import LAYERS, alone, samples, sequential

ALL = [make for make, _ in LAYERS.values()]


def every_layer():
    blocks = [part for make in ALL for part in (keras.layers.Dense(16), make())]
    model = keras.Sequential([keras.Input((16,)), *blocks])
    model.compile("sgd", "mse")
    return model


def test_a_saved_model_needs_neither_this_package_nor_keras(tmp_path):
    model = every_layer()
    x = samples(model)
    model.export(str(tmp_path / "model"), verbose=False)
    np.save(tmp_path / "x.npy", x)
    program = """
import sys
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load("model")
y = loaded.serve(np.load("x.npy"))
assert "keras_activations" not in sys.modules
np.save("y.npy", y)
"""
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_onnx(name):
    model = alone(LAYERS[name][0]())
    x = samples(model)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(onnx(model, x), expected, rtol=4e-5, atol=1e-6)


def test_onnx_keeps_the_tail_of_gelu():
    model = alone(LAYERS["StableGELU()"][0]())
    x = np.linspace(-9, -5, 64, dtype="float32").reshape(4, 16)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(onnx(model, x), expected, rtol=4e-5)


# Keras says it of each layer without weights, its own InputLayer first.
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("make", ALL)
def test_quantize(make):
    keras.utils.set_random_seed(0)
    model = sequential(make())
    x = samples(model)
    expected = model.predict(x, verbose=0)
    model.quantize("int8")
    found = model.predict(x, verbose=0)
    assert np.mean((found - expected) ** 2) < 1e-3 * np.var(expected)
