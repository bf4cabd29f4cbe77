"""Healthy programs of plain dense networks: sparse, deep, smooth, not scaled."""

import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.networks import dense, layers, normal, train
from benchmarks.faults.program import HEALTHY, Program

healthy = functools.partial(Program, kind=HEALTHY)
of = functools.partial

# So that the narrow networks learn in some 300 steps.
FAST = of(keras.optimizers.Adam, 0.005)


def digits(blocks, load=data.digits, scale=1.0, **options):
    """Blocks, made by a callable, on the digits."""
    return train(blocks(), load().inputs(lambda x: x * scale), **options)


def plane(load, depth, activation, epochs=45):
    """The known healthy networks of many narrow layers."""
    kernel = keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")
    blocks = dense((5,) * depth, activation, kernel=kernel)
    return train(blocks, load(), optimizer=FAST, batch=128, epochs=epochs)


def sparse():
    """A wide layer under an L1 penalty: few of its units are on at a time."""
    penalty = keras.regularizers.L1(1e-3)
    return [
        layers.Dense(128, "relu", activity_regularizer=penalty, name="hidden_1"),
        layers.Dense(64, "relu", name="hidden_2"),
    ]


def noisy():
    """Noise at the input and a smooth activation."""
    return [layers.GaussianNoise(0.3), *dense((48, 48), "silu")]


def codes():
    """A code under so much noise that its units do best at either end."""
    first, code = dense((48, 24), "tanh")
    code.activation = None
    noise = layers.GaussianNoise(1.0, name="noise")
    steep = layers.Rescaling(4.0, name="steep")
    return [first, code, noise, steep, layers.Activation("tanh", name="code")]


def negative_bias():
    """Units that are on for few inputs, as the bias starts a little below 0."""
    return dense((96, 64), "relu", bias=keras.initializers.Constant(-0.3))


WIDE = of(dense, (256, 128), "relu")
THREE = of(dense, (48, 48, 48))

PROGRAMS = (
    healthy(
        "noisy-codes",
        "codes",
        build=of(digits, codes, optimizer=FAST, epochs=16),
        least=0.8,
    ),
    healthy("sparse-relu", "sparse", build=of(digits, sparse), least=0.8),
    healthy("wide-relu", "sparse", build=of(digits, WIDE), least=0.85),
    healthy(
        "negative-bias-relu", "sparse", build=of(digits, negative_bias), least=0.85
    ),
    healthy(
        "tanh-9-circles",
        "deep-tanh",
        build=of(plane, data.circles, 9, "tanh"),
        least=0.7,
    ),
    healthy(
        "tanh-5-blobs", "deep-tanh", build=of(plane, data.blobs, 5, "tanh"), least=0.7
    ),
    healthy(
        "tanh-8-digits",
        "deep-tanh",
        build=of(digits, of(dense, (32,) * 8, "tanh")),
        least=0.8,
    ),
    healthy(
        "selu-10-digits",
        "deep-selu",
        build=of(digits, of(dense, (32,) * 10, "selu")),
        least=0.8,
    ),
    healthy(
        "elu-6-digits",
        "deep-selu",
        build=of(digits, of(dense, (32,) * 6, "elu")),
        least=0.8,
    ),
    healthy(
        "relu-6-digits-adam",
        "deep-relu",
        build=of(digits, of(dense, (48,) * 6, "relu")),
        least=0.85,
    ),
    healthy(
        "sigmoid-2-digits",
        "sigmoid",
        build=of(digits, of(dense, (64, 64), "sigmoid")),
        least=0.75,
    ),
    healthy("gelu-digits-3", "smooth", build=of(digits, of(THREE, "gelu")), least=0.85),
    healthy("swish-noise", "smooth", build=of(digits, noisy), least=0.8),
    healthy(
        "leaky-relu-digits",
        "smooth",
        build=of(digits, of(THREE, "leaky_relu")),
        least=0.85,
    ),
    healthy(
        "softsign-digits", "smooth", build=of(digits, of(THREE, "softsign")), least=0.85
    ),
    healthy(
        "hard-swish-raw-pixels",
        "raw-but-well",
        build=of(digits, of(THREE, "hard_silu"), scale=16.0),
        least=0.85,
    ),
    healthy(
        "relu-raw-pixels",
        "raw-but-well",
        build=of(digits, of(THREE, "relu"), scale=16.0),
        least=0.85,
    ),
    healthy(
        "relu6-digits-adam",
        "raw-but-well",
        build=of(digits, of(THREE, "relu6"), scale=4.0),
        least=0.85,
    ),
    healthy(
        "large-weights-learnt",
        "large-weights-learnt",
        build=of(digits, of(dense, (64,), "tanh", kernel=normal(0.5))),
        least=0.8,
    ),
)
