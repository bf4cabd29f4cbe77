"""Faults that end in saturation: convolutions, recurrent layers and outputs."""

import dataclasses
import functools

import keras
import numpy as np

from benchmarks.faults import data
from benchmarks.faults.networks import conv, dense, layers, normal, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(Program, kind="saturation")
twin = functools.partial(Program, kind=TWIN)
of = functools.partial

LARGE = "large_weights"
RAW = "unscaled_inputs"
TARGETS = "unscaled_targets"

# All of them start from large weights, but black pixels leave half of the first one free.
CONVOLUTIONS = ("hidden_1", "hidden_2")

# Few filters and sigmoids learn slowly.
FAST = functools.partial(keras.optimizers.Adam, 0.01)


def images(activation, offset=0.0, **options):
    """Three convolutions on the digits, of which the mean of each quarter is seen."""
    pixels = data.digit_images().inputs(lambda x: x + offset)
    *blocks, flat = conv((2, 8, 8), activation, **options)
    blocks = [*blocks, layers.AveragePooling2D(4), flat]
    return train(blocks, pixels, optimizer=FAST)


def recurrent(cell, scale=1.0, **options):
    """One recurrent layer over waves."""
    # A copy, as one initializer gives one draw.
    options = {name: value.clone() for name, value in options.items()}
    waves = data.waves().inputs(lambda x: x * scale)
    return train([cell(16, name="hidden_1", **options)], waves, epochs=16)


def regression(middle, width):
    """A tanh output for targets in `middle - width` to `middle + width`."""
    split = data.friedman().targets(lambda y: middle + width * np.tanh(y / 2))
    output = layers.Dense(1, "tanh", name="output")
    return train(dense((32, 32), "tanh"), split, output=output, epochs=16)


def autoencoder(scale):
    """Pixels from pixels, through a sigmoid that reaches 1."""
    split = data.digits()
    split = dataclasses.replace(
        split, y=split.x * scale, y_val=split.x_val * scale, classes=None
    )
    output = layers.Dense(64, "sigmoid", name="output")
    return train(dense((48, 24, 48), "relu"), split, output=output, epochs=14)


TWINS = (
    twin("tanh-images", "conv-large-weights", build=of(images, "tanh")),
    twin(
        "sigmoid-images",
        "conv-large-weights",
        build=of(images, "sigmoid"),
    ),
    twin("rnn-waves", "rnn-saturation", build=of(recurrent, layers.SimpleRNN)),
    twin("lstm-waves", "gated-saturation", build=of(recurrent, layers.LSTM)),
    twin("gru-waves", "gated-saturation", build=of(recurrent, layers.GRU)),
    twin("tanh-output", "output-range", build=of(regression, 0.0, 0.9)),
    twin("sigmoid-output", "output-range", build=of(autoencoder, 1.0)),
)

PROGRAMS = (
    fault(
        "conv-tanh-large-weights",
        "conv-large-weights",
        build=of(images, "tanh", kernel=normal(8.0)),
        twin="tanh-images",
        layers=CONVOLUTIONS,
        cause=LARGE,
    ),
    fault(
        "conv-sigmoid-large-weights",
        "conv-large-weights",
        build=of(images, "sigmoid", kernel=normal(25.0)),
        twin="sigmoid-images",
        layers=CONVOLUTIONS,
        cause=LARGE,
    ),
    fault(
        "conv-tanh-offset",
        "conv-raw",
        build=of(images, "tanh", offset=200.0),
        twin="tanh-images",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "rnn-large-recurrent-weights",
        "rnn-saturation",
        build=of(recurrent, layers.SimpleRNN, recurrent_initializer=normal(5.0)),
        twin="rnn-waves",
        layers=("hidden_1",),
        # Backwards through time the same weights multiply the gradient.
        also=("exploding_gradient",),
        cause=LARGE,
    ),
    fault(
        "rnn-raw",
        "rnn-saturation",
        build=of(recurrent, layers.SimpleRNN, scale=500.0),
        twin="rnn-waves",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "lstm-raw",
        "gated-saturation",
        build=of(recurrent, layers.LSTM, scale=1000.0),
        twin="lstm-waves",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "gru-raw",
        "gated-saturation",
        build=of(recurrent, layers.GRU, scale=1000.0),
        twin="gru-waves",
        layers=("hidden_1",),
        cause=RAW,
    ),
    fault(
        "tanh-output-far-targets",
        "output-range",
        build=of(regression, 100.0, 50.0),
        twin="tanh-output",
        layers=("output",),
        cause=TARGETS,
        rescuable=False,
    ),
    fault(
        "sigmoid-output-raw-pixels",
        "output-range",
        build=of(autoencoder, 16.0),
        twin="sigmoid-output",
        layers=("output",),
        cause=TARGETS,
        rescuable=False,
    ),
)
