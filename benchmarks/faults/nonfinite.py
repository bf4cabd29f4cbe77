"""Faults that give NaN or Inf: in an output, the loss or only in a gradient."""

import dataclasses
import functools

import keras
import numpy as np

from benchmarks.faults import data
from benchmarks.faults.careless_layers import (
    Logarithm,
    Shares,
    SquareRoot,
    Standardise,
    UnitLength,
)
from benchmarks.faults.networks import dense, layers, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(Program, kind="nonfinite")
twin = functools.partial(Program, kind=TWIN)
of = functools.partial
ops = keras.ops


def inserted(layer):
    """A layer between two rectified ones on the digits."""
    first, second = dense((32, 32), "relu")
    return train([first, layer(name="fault"), second], data.digits())


def standardised(epsilon):
    """A layer of one's own in front; some pixels are 0 in every image."""
    blocks = [Standardise(epsilon, name="fault"), *dense((32, 32), "relu")]
    return train(blocks, data.digits())


def attentive(scale):
    """Weights that sum to 1, between two layers."""
    first, second = dense((32, 32), "relu")
    return train([first, Shares(scale, name="fault"), second], data.digits(), epochs=16)


def spoiled(load, inputs=0, targets=0, value=np.nan):
    """A value put into so many rows of the inputs or of the targets."""
    split = load()
    x, y = split.x.copy(), split.y.copy()
    places = np.random.default_rng(3).permutation(len(x))
    x[places[:inputs], 0] = value
    if targets:
        y[places[:targets]] = value
    split = dataclasses.replace(split, x=x, y=y)
    return train(dense((32, 32), "relu"), split, epochs=14)


def cross_entropy(epsilon):
    """Shares of rectified outputs, and their cross-entropy, by hand."""

    def loss(y, scores):
        shares = scores + epsilon
        shares = shares / ops.sum(shares, axis=-1, keepdims=True)
        y = ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), 10)
        return -ops.sum(y * ops.log(shares), axis=-1)

    output = layers.Dense(10, "relu", name="output")
    return train(dense((64, 64), "relu"), data.digits(), output=output, loss=loss)


def half(scale):
    """Mixed precision, where 65504 is the greatest number there is."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        pixels = data.digits().inputs(lambda x: x * scale)
        blocks = dense((64, 64, 64), "relu")
        output = layers.Dense(10, "softmax", dtype="float32", name="output")
        return train(blocks, pixels, output=output)
    finally:
        keras.config.set_dtype_policy(before)


def of_layer(kind, epsilon):
    return of(inserted, of(kind, epsilon))


TWINS = (
    twin("standardised", "zero-deviation", build=of(standardised, 1e-3)),
    twin("square-root", "square-root", build=of_layer(SquareRoot, 1e-3)),
    twin("logarithm", "logarithm", build=of_layer(Logarithm, 1e-1)),
    twin("unit-length", "unit-length", build=of_layer(UnitLength, 1e-3)),
    twin("shares", "own-softmax", build=of(attentive, 1.0)),
    twin("whole-digits", "bad-rows", build=of(spoiled, data.digits)),
    twin("whole-friedman", "bad-targets", build=of(spoiled, data.friedman)),
    twin("own-cross-entropy", "own-loss", build=of(cross_entropy, 0.1)),
    twin("half-precision", "half-precision", build=of(half, 1.0)),
)

PROGRAMS = (
    fault(
        "zero-deviation",
        "zero-deviation",
        build=of(standardised, 0.0),
        twin="standardised",
        layers=("fault",),
        rescuable=False,
    ),
    fault(
        "square-root-at-zero",
        "square-root",
        build=of_layer(SquareRoot, 0.0),
        twin="square-root",
        # Seen in the gradient of the layer below; the message names the one above.
        layers=("fault", "hidden_1"),
        cause="bad_gradient",
    ),
    fault(
        "logarithm-of-zero",
        "logarithm",
        build=of_layer(Logarithm, 0.0),
        twin="logarithm",
        layers=("fault",),
        rescuable=False,
    ),
    fault(
        "length-zero",
        "unit-length",
        build=of_layer(UnitLength, 0.0),
        twin="unit-length",
        layers=("fault",),
        rescuable=False,
    ),
    fault(
        "own-softmax-overflow",
        "own-softmax",
        build=of(attentive, 100.0),
        twin="shares",
        layers=("fault",),
        cause="overflow",
    ),
    fault(
        "nan-in-one-row",
        "bad-rows",
        build=of(spoiled, data.digits, inputs=1),
        twin="whole-digits",
        layers=("hidden_1",),
        cause="bad_data",
    ),
    fault(
        "infinity-in-three-rows",
        "bad-rows",
        build=of(spoiled, data.digits, inputs=3, value=np.inf),
        twin="whole-digits",
        layers=("hidden_1",),
        cause="bad_data",
    ),
    fault(
        "nan-in-one-target",
        "bad-targets",
        build=of(spoiled, data.friedman, targets=1),
        twin="whole-friedman",
        cause="bad_data",
    ),
    fault(
        "logarithm-in-the-loss",
        "own-loss",
        build=of(cross_entropy, 0.0),
        twin="own-cross-entropy",
        rescuable=False,
    ),
    fault(
        "half-precision-overflow",
        "half-precision",
        build=of(half, 60000.0),
        twin="half-precision",
        layers=("hidden_1", "hidden_2", "hidden_3"),
        cause="overflow",
    ),
)
