"""`python -m tests.deployment.other_backend`: the functions on KERAS_BACKEND, jax or torch.

A process of its own, as a process has one backend. It ends with an error if a value or a
gradient is out of the bounds that hold on TensorFlow, or a layer does not train.
"""

import keras
import numpy as np

import keras_activations as ka
from benchmarks.numerics.inputs import inputs
from benchmarks.numerics.measuring import OURS, errors
from benchmarks.numerics.ulps import TYPES
from tests.activations.bounds import assert_bounds

BACKEND = keras.backend.backend()


# On PyTorch Keras's operations of two arguments make float32 of float64.
KEPT = [dtype for dtype in TYPES if (BACKEND, dtype) != ("torch", "float64")]


def jax_gradient(function):
    import jax

    def value_and_gradient(x):
        y, pull_back = jax.vjp(function, x)
        return y, pull_back(jax.numpy.ones_like(y))[0]

    return jax.jit(value_and_gradient)


def torch_gradient(function):
    def value_and_gradient(x):
        x.requires_grad_()
        y = function(x)
        y.sum().backward()
        return y, x.grad

    return value_and_gradient


def as_float64(x):
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float64")).astype("float64")


def gradient_of(function):
    return {"jax": jax_gradient, "torch": torch_gradient}[BACKEND](function)


def check(name, dtype):
    x = inputs(dtype, {"float64": 200}.get(dtype, 20_000))
    tensor = keras.ops.cast(keras.ops.convert_to_tensor(x, dtype="float64"), dtype)
    y, gradient = gradient_of(OURS[name])(tensor)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    assert keras.backend.standardize_dtype(gradient.dtype) == dtype
    if (name, dtype) == ("clipped_tanh", "float64"):
        dtype = "float32"  # in which Keras takes its tanh here
    found = errors(name, as_float64(y), as_float64(gradient), x, dtype)
    assert_bounds(name, dtype, found)


def check_outside_gradients():
    slope = np.cosh(3.0) ** -2
    passed = {"zero": (0, 0), "inward": (slope, 0), "straight_through": (slope, slope)}
    for dtype in ("float16", "float32"):
        for option, expected in passed.items():

            def clipped(x, option=option):
                return ka.functional.clipped_tanh(x, outside_gradient=option)

            x = keras.ops.convert_to_tensor([5.0, -5.0], dtype=dtype)
            _, gradient = gradient_of(clipped)(x)
            np.testing.assert_allclose(as_float64(gradient), expected, rtol=1e-3)


def check_layers():
    keras.utils.set_random_seed(0)
    layers = [
        ka.ClippedTanh(outside_gradient="inward"),
        ka.ReLU6(),
        ka.HardSwish(),
        ka.StableGELU(),
        ka.StableGELU(approximate=True),
    ]
    blocks = [part for layer in layers for part in (keras.layers.Dense(8), layer)]
    model = keras.Sequential([keras.Input((3,)), *blocks, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    losses = model.fit(x, x[:, :1], epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2, losses


def check_the_monitor_says_that_it_cannot():
    try:
        ka.ActivationMonitor()
    except ValueError as error:
        assert f"keras.backend.backend()={BACKEND!r}" in str(error)
    else:
        raise AssertionError("not refused")


def main():
    for name in OURS:
        for dtype in KEPT:
            try:
                check(name, dtype)
            except AssertionError as error:
                raise AssertionError(f"{name} in {dtype}") from error
    check_outside_gradients()
    check_layers()
    check_the_monitor_says_that_it_cannot()
    print(f"{BACKEND}: every function is within its bounds")


if __name__ == "__main__":
    main()
