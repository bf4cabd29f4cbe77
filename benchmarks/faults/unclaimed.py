"""Faults that an activation monitor should not claim: nothing in the network is ill."""

import functools

import keras
import numpy as np

from benchmarks.faults import data
from benchmarks.faults.networks import dense, layers, train
from benchmarks.faults.program import UNCLAIMED, Program

fault = functools.partial(Program, kind=UNCLAIMED)
of = functools.partial


def shuffled(load):
    """Targets that have nothing to do with the inputs."""
    random = np.random.default_rng(5)
    split = load()
    return train(
        dense((32, 32), "relu"), split.targets(random.permutation, split.classes)
    )


def wrong_loss():
    """The number of the class as a value to come near to, and the class as output."""
    split = data.digits()
    output = layers.Dense(10, "softmax", name="output")
    return train(dense((32, 32), "relu"), split, output=output, loss=_distance)


def _distance(y, p):
    number = keras.ops.reshape(keras.ops.cast(y, p.dtype), (-1, 1))
    return keras.ops.mean(keras.ops.square(number - p), axis=-1)


def single_softmax():
    """Softmax over one unit: always 1."""
    split = data.breast_cancer()
    output = layers.Dense(1, "softmax", name="output")
    loss = keras.losses.BinaryCrossentropy()
    return train(
        dense((24, 24), "relu"), split, output=output, loss=loss, batch=16, epochs=10
    )


def logits_twice():
    """Probabilities taken for logits; mostly it learns, slowly."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return train(dense((32, 32), "relu"), data.digits(), loss=loss)


def slow():
    """A learning rate that is far too small."""
    optimizer = of(keras.optimizers.Adam, 1e-6)
    return train(dense((32, 32), "relu"), data.digits(), optimizer=optimizer)


def blind():
    """Inputs in which nothing can be told apart."""
    split = data.digits().inputs(lambda x: 0.5 + 0 * x + 0.01 * x[:, :1])
    return train(dense((32, 32), "relu"), split)


PROGRAMS = (
    fault("shuffled-labels", "shuffled-labels", build=of(shuffled, data.digits)),
    fault("shuffled-targets", "shuffled-labels", build=of(shuffled, data.friedman)),
    fault("wrong-loss", "wrong-loss", build=wrong_loss),
    fault("single-softmax", "wrong-output", build=single_softmax),
    fault("logits-twice", "wrong-output", build=logits_twice),
    fault("learning-rate-too-small", "too-slow", build=slow),
    fault("blind-inputs", "blind-inputs", build=blind),
)
