"""Faults whose gradient vanishes on its way to the first layers."""

import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.networks import conv, dense, layers, normal, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(
    Program, kind="vanishing_gradient", layers=("hidden_1", "hidden_2")
)
twin = functools.partial(Program, kind=TWIN)
of = functools.partial

# So that the narrow networks learn in some 300 steps.
FAST = of(keras.optimizers.Adam, 0.005)

SMALL = "small_weights"


def deep(load, activation, depth, width=5, epochs=45, kernel=None):
    """The known networks of many narrow layers, on points in the plane."""
    kernel = kernel or keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")
    blocks = dense((width,) * depth, activation, kernel=kernel)
    return train(blocks, load(), optimizer=FAST, batch=128, epochs=epochs)


def digits(activation, depth, kernel=None, optimizer=None, separate=False):
    """Many layers of 24 units on the digits."""
    blocks = dense((24,) * depth, activation, kernel=kernel, separate=separate)
    return train(blocks, data.digits(), optimizer=optimizer)


def images(activation, depth, kernel=None):
    """Many convolutions on the digits."""
    return train(conv((6,) * depth, activation, kernel=kernel), data.digit_images())


def stacked(activation):
    """Recurrent layers on top of each other."""
    blocks = [
        layers.SimpleRNN(
            12, activation, return_sequences=number < 6, name=f"hidden_{number}"
        )
        for number in range(1, 7)
    ]
    return train(blocks, data.waves(), epochs=14)


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


TWINS = (
    twin(
        "tanh-12-circles", "sigmoid-circles", build=of(deep, data.circles, "tanh", 12)
    ),
    twin("tanh-13-blobs", "sigmoid-blobs", build=of(deep, data.blobs, "tanh", 13)),
    twin("tanh-9-digits", "sigmoid-digits", build=of(digits, "tanh", 9)),
    twin("relu-6-digits", "small-weights", build=of(digits, "relu", 6)),
    twin("tanh-6-digits", "small-weights", build=of(digits, "tanh", 6)),
    twin(
        "tanh-6-digits-sgd",
        "small-weights",
        build=of(digits, "tanh", 6, optimizer=momentum),
    ),
    twin("tanh-7-images", "sigmoid-images", build=of(images, "tanh", 7)),
    twin("relu-7-images", "conv-small-weights", build=of(images, "relu", 7)),
    twin("tanh-6-waves", "sigmoid-waves", build=of(stacked, "tanh")),
)

PROGRAMS = (
    fault(
        "sigmoid-12-circles",
        "sigmoid-circles",
        build=of(deep, data.circles, "sigmoid", 12),
        twin="tanh-12-circles",
    ),
    fault(
        "sigmoid-13-blobs",
        "sigmoid-blobs",
        build=of(deep, data.blobs, "sigmoid", 13),
        twin="tanh-13-blobs",
    ),
    fault(
        "sigmoid-9-digits",
        "sigmoid-digits",
        build=of(digits, "sigmoid", 9),
        twin="tanh-9-digits",
    ),
    fault(
        "sigmoid-9-digits-separate",
        "sigmoid-digits",
        build=of(digits, "sigmoid", 9, separate=True),
        twin="tanh-9-digits",
    ),
    fault(
        "hard-sigmoid-9-digits",
        "hard-sigmoid-digits",
        build=of(digits, "hard_sigmoid", 9),
        twin="tanh-9-digits",
    ),
    fault(
        "tanh-small-weights",
        "small-weights",
        build=of(digits, "tanh", 6, kernel=normal(1e-3), optimizer=momentum),
        twin="tanh-6-digits-sgd",
        cause=SMALL,
    ),
    fault(
        "tanh-small-weights-adam",
        "small-weights",
        build=of(digits, "tanh", 6, kernel=normal(1e-4)),
        twin="tanh-6-digits",
        cause=SMALL,
    ),
    fault(
        "relu-small-weights",
        "small-weights",
        build=of(digits, "relu", 6, kernel=normal(1e-4)),
        twin="relu-6-digits",
        cause=SMALL,
    ),
    fault(
        "sigmoid-7-images",
        "sigmoid-images",
        build=of(images, "sigmoid", 7),
        twin="tanh-7-images",
    ),
    fault(
        "conv-small-weights",
        "conv-small-weights",
        build=of(images, "relu", 7, kernel=normal(1e-4)),
        twin="relu-7-images",
        cause=SMALL,
    ),
    fault(
        "sigmoid-6-waves",
        "sigmoid-waves",
        build=of(stacked, "sigmoid"),
        twin="tanh-6-waves",
    ),
)
