"""Faults that end in saturation, in dense networks."""

import functools

import keras

import keras_activations as ka
from benchmarks.faults import data
from benchmarks.faults.networks import dense, initializers, normal, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(Program, kind="saturation")
twin = functools.partial(Program, kind=TWIN)
of = functools.partial

LARGE = "large_weights"
RAW = "unscaled_inputs"
RATE = "learning_rate"


def adam(rate):
    return lambda: keras.optimizers.Adam(rate)


def sgd(rate):
    return lambda: keras.optimizers.SGD(rate)


# Sigmoids learn slowly.
FAST = adam(0.01)


def digits(activation, scale=1.0, optimizer=None, **options):
    """Three hidden layers on the digits, whose pixels are multiplied by `scale`."""
    pixels = data.digits().inputs(lambda x: x * scale)
    return train(
        dense((32, 32, 32), activation, **options), pixels, optimizer=optimizer
    )


def table(load, activation, scaled=True, batch=16, epochs=30, **options):
    """Two hidden layers on a table of measurements."""
    blocks = dense((24, 24), activation, **options)
    return train(blocks, load(scaled=scaled), batch=batch, epochs=epochs)


TWINS = (
    twin("tanh-digits", "tanh-large-weights", build=of(digits, "tanh")),
    twin("tanh-digits-sgd", "tanh-rate", build=of(digits, "tanh", optimizer=sgd(0.3))),
    twin(
        "sigmoid-digits",
        "sigmoid-large-weights",
        build=of(digits, "sigmoid", optimizer=FAST),
    ),
    twin("relu6-digits", "hard-raw-digits", build=of(digits, "relu6")),
    twin(
        "hard-sigmoid-digits",
        "hard-raw-digits",
        build=of(digits, "hard_sigmoid", optimizer=FAST),
    ),
    twin("tanh-wine", "raw-wine", build=of(table, data.wine, "tanh")),
    twin(
        "sigmoid-cancer",
        "raw-cancer",
        build=of(table, data.breast_cancer, "sigmoid", batch=32, epochs=18),
    ),
)

PROGRAMS = (
    fault(
        "tanh-large-weights",
        "tanh-large-weights",
        build=of(digits, "tanh", kernel=normal(3.0)),
        twin="tanh-digits",
        layers=("hidden_1",),
        cause=LARGE,
    ),
    fault(
        "tanh-large-weights-separate",
        "tanh-large-weights",
        build=of(digits, "tanh", separate=True, kernel=normal(5.0)),
        twin="tanh-digits",
        layers=("act_1", "hidden_1"),
        cause=LARGE,
    ),
    fault(
        "tanh-large-weights-second",
        "tanh-large-weights",
        build=of(digits, "tanh", kernel=normal(12.0), only=(2, 3)),
        twin="tanh-digits",
        layers=("hidden_2",),
        cause=LARGE,
    ),
    fault(
        "sigmoid-large-weights",
        "sigmoid-large-weights",
        build=of(digits, "sigmoid", optimizer=FAST, kernel=normal(20.0)),
        twin="sigmoid-digits",
        layers=("hidden_1",),
        cause=LARGE,
    ),
    fault(
        "sigmoid-large-weights-separate",
        "sigmoid-large-weights",
        build=of(digits, "sigmoid", optimizer=FAST, separate=True, kernel=normal(30.0)),
        twin="sigmoid-digits",
        layers=("act_1", "hidden_1"),
        cause=LARGE,
    ),
    fault(
        "tanh-bias",
        "tanh-bias",
        build=of(digits, "tanh", bias=initializers.Constant(8.0)),
        twin="tanh-digits",
        layers=("hidden_1",),
    ),
    fault(
        "tanh-raw-wine",
        "raw-wine",
        build=of(table, data.wine, "tanh", scaled=False),
        twin="tanh-wine",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "tanh-raw-wine-separate",
        "raw-wine",
        build=of(table, data.wine, "tanh", scaled=False, separate=True),
        twin="tanh-wine",
        layers=("act_1", "hidden_1"),
        cause=RAW,
    ),
    fault(
        "sigmoid-raw-cancer",
        "raw-cancer",
        build=of(
            table, data.breast_cancer, "sigmoid", batch=32, epochs=18, scaled=False
        ),
        twin="sigmoid-cancer",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "tanh-raw-digits",
        "raw-digits",
        build=of(digits, "tanh", scale=255.0),
        twin="tanh-digits",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "clipped-tanh-raw-digits",
        "raw-digits",
        build=of(digits, ka.ClippedTanh, scale=255.0, separate=True),
        twin="tanh-digits",
        layers=("act_1", "hidden_1"),
        cause=RAW,
    ),
    fault(
        "relu6-raw-digits",
        "hard-raw-digits",
        build=of(digits, "relu6", scale=5000.0),
        twin="relu6-digits",
        layers=("hidden_1",),
        also=("dead_units",),
        cause=RAW,
    ),
    fault(
        "hard-sigmoid-raw-digits",
        "hard-raw-digits",
        build=of(digits, "hard_sigmoid", optimizer=FAST, scale=1000.0),
        twin="hard-sigmoid-digits",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "tanh-learning-rate",
        "tanh-rate",
        build=of(digits, "tanh", optimizer=adam(1.0)),
        twin="tanh-digits",
        also=("exploding_gradient",),
        cause=RATE,
    ),
    fault(
        "tanh-learning-rate-sgd",
        "tanh-rate",
        build=of(digits, "tanh", optimizer=sgd(30.0)),
        twin="tanh-digits-sgd",
        also=("exploding_gradient",),
        cause=RATE,
    ),
)
