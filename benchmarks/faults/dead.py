"""Faults that leave units dead: at the floor of a rectifier for every input."""

import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.networks import conv, dense, initializers, layers, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(Program, kind="dead_units")
twin = functools.partial(Program, kind=TWIN)
of = functools.partial

# So that the narrow networks learn in some 300 steps.
FAST = of(keras.optimizers.Adam, 0.005)

# Far below anything that weights of the usual size make of pixels in [0, 1].
NEGATIVE = initializers.Constant(-6.0)
BIAS = "dead_bias"
RATE = "learning_rate"


def digits(activation="relu", depth=3, width=32, optimizer=None, **options):
    """Rectified hidden layers on the digits."""
    blocks = dense((width,) * depth, activation, **options)
    return train(blocks, data.digits(), optimizer=optimizer)


def images(optimizer=None, **options):
    """Rectified convolutions on the digits."""
    blocks = conv((8, 12), "relu", **options)
    return train(blocks, data.digit_images(), optimizer=optimizer)


def signals(**options):
    """Rectified convolutions over sequences."""
    blocks = conv((12, 12), "relu", layer=layers.Conv1D, **options)
    return train(blocks, data.waves(), epochs=16)


def narrow(load, depth, activation="relu"):
    """The known networks of many narrow rectified layers; they die on some seeds."""
    kernel = keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")
    blocks = dense((5,) * depth, activation, kernel=kernel)
    return train(blocks, load(), optimizer=FAST, batch=128, epochs=45)


def adam(rate):
    return lambda: keras.optimizers.Adam(rate)


def sgd(rate, **options):
    return lambda: keras.optimizers.SGD(rate, **options)


TWINS = (
    twin("relu-digits", "dense-dead-bias", build=digits),
    twin(
        "relu-digits-sgd",
        "dense-learning-rate",
        build=of(digits, optimizer=sgd(0.1, momentum=0.9)),
    ),
    twin("gelu-digits", "smooth-dead-bias", build=of(digits, "gelu")),
    twin("relu-images", "conv-dead-bias", build=images),
    twin(
        "separable-images",
        "separable-dead-bias",
        build=of(images, layer=layers.SeparableConv2D),
    ),
    twin("relu-signals", "signals-dead-bias", build=signals),
    twin(
        "tanh-12-circles-narrow", "narrow", build=of(narrow, data.circles, 12, "tanh")
    ),
    twin("tanh-16-blobs-narrow", "narrow", build=of(narrow, data.blobs, 16, "tanh")),
    twin("tanh-8-narrow-digits", "narrow-digits", build=of(digits, "tanh", 8, 8)),
)

PROGRAMS = (
    fault(
        "relu-dead-bias",
        "dense-dead-bias",
        build=of(digits, bias=NEGATIVE),
        twin="relu-digits",
        layers=("hidden_1",),
        cause=BIAS,
    ),
    fault(
        "relu-dead-bias-second",
        "dense-dead-bias",
        build=of(digits, bias=NEGATIVE, only=(2,)),
        twin="relu-digits",
        layers=("hidden_2",),
        cause=BIAS,
    ),
    fault(
        "relu-dead-bias-separate",
        "dense-dead-bias",
        build=of(digits, layers.ReLU, bias=NEGATIVE, only=(1,), separate=True),
        twin="relu-digits",
        layers=("act_1", "hidden_1"),
        cause=BIAS,
    ),
    fault(
        "relu-negative-weights",
        "negative-weights",
        build=of(digits, kernel=initializers.RandomUniform(-0.5, 0.0)),
        twin="relu-digits",
        layers=("hidden_1",),
    ),
    fault(
        "gelu-dead-bias",
        "smooth-dead-bias",
        build=of(digits, "gelu", bias=initializers.Constant(-30.0)),
        twin="gelu-digits",
        layers=("hidden_1",),
        cause=BIAS,
    ),
    fault(
        "conv-dead-bias",
        "conv-dead-bias",
        build=of(images, bias=NEGATIVE),
        twin="relu-images",
        layers=("hidden_1",),
        cause=BIAS,
    ),
    fault(
        "conv-dead-bias-second",
        "conv-dead-bias",
        build=of(images, bias=NEGATIVE, only=(2,)),
        twin="relu-images",
        layers=("hidden_2",),
        cause=BIAS,
    ),
    fault(
        "separable-dead-bias",
        "separable-dead-bias",
        build=of(images, bias=NEGATIVE, layer=layers.SeparableConv2D),
        twin="separable-images",
        layers=("hidden_1",),
        cause=BIAS,
    ),
    fault(
        "signals-dead-bias",
        "signals-dead-bias",
        build=of(signals, bias=NEGATIVE),
        twin="relu-signals",
        layers=("hidden_1",),
        cause=BIAS,
    ),
    fault(
        "relu-learning-rate",
        "dense-learning-rate",
        build=of(digits, optimizer=adam(1.0)),
        twin="relu-digits",
        also=("exploding_gradient",),
        cause=RATE,
    ),
    fault(
        "relu-learning-rate-sgd",
        "dense-learning-rate",
        build=of(digits, optimizer=sgd(2.0, momentum=0.9)),
        twin="relu-digits-sgd",
        also=("exploding_gradient", "nonfinite"),
        cause=RATE,
    ),
    fault(
        "conv-learning-rate",
        "conv-learning-rate",
        build=of(images, optimizer=adam(0.5)),
        twin="relu-images",
        also=("exploding_gradient",),
        cause=RATE,
    ),
    fault(
        "relu-12-circles",
        "narrow",
        build=of(narrow, data.circles, 12),
        twin="tanh-12-circles-narrow",
        also=("vanishing_gradient",),
    ),
    fault(
        "relu-16-blobs",
        "narrow",
        build=of(narrow, data.blobs, 16),
        twin="tanh-16-blobs-narrow",
        also=("vanishing_gradient",),
    ),
    fault(
        "relu-8-narrow-digits",
        "narrow-digits",
        build=of(digits, "relu", 8, 4),
        twin="tanh-8-narrow-digits",
        also=("vanishing_gradient",),
    ),
)
