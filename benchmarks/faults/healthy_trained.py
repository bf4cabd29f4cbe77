"""Healthy programs of dense networks: how they are normalised, trained, and on what."""

import dataclasses
import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.healthy_dense import THREE, digits
from benchmarks.faults.networks import dense, layers, train
from benchmarks.faults.program import HEALTHY, Program

healthy = functools.partial(Program, kind=HEALTHY)
of = functools.partial


def table(load, activation, epochs=30, batch=16):
    """A small network on a table of measurements, trained far past the best."""
    return train(dense((24, 24), activation), load(), batch=batch, epochs=epochs)


def normalised(kind, activation="relu"):
    """A normalisation after each dense layer, before the activation."""
    blocks = []
    for number in range(1, 4):
        blocks.append(layers.Dense(32, name=f"hidden_{number}"))
        blocks.append(kind(name=f"norm_{number}"))
        blocks.append(layers.Activation(activation, name=f"act_{number}"))
    return blocks


def dropped(rate):
    """Dropout after each of three wide layers."""
    blocks = dense((96, 96, 96), "relu")
    return [part for block in blocks for part in (block, layers.Dropout(rate))]


def frozen():
    """Two random layers that are not trained, below two that are."""
    blocks = dense((64, 64, 32, 32), "relu")
    for block in blocks[:2]:
        block.trainable = False
    return blocks


def bottleneck(activation, output, rate=0.001):
    """An autoencoder: pixels from pixels, through 16 numbers."""
    split = data.digits()
    split = dataclasses.replace(split, y=split.x, y_val=split.x_val, classes=None)
    return train(
        dense((48, 16, 48), activation),
        split,
        output=layers.Dense(64, output, name="output"),
        optimizer=of(keras.optimizers.Adam, rate),
        epochs=16,
    )


def warm_up(epoch, rate):
    """The learning rate rises over four epochs and falls again."""
    return 0.02 * min(epoch + 1, 4) / 4 * (0.9 ** max(epoch - 4, 0))


def regression(load, scale=1.0, **options):
    """A smooth function whose values may be large, learnt by Adam."""
    split = load().targets(lambda y: y * scale)
    return train(dense((48, 48), "relu"), split, batch=50, epochs=20, **options)


def sgd(*positional, **named):
    return of(keras.optimizers.SGD, *positional, **named)


WARM_UP = (keras.callbacks.LearningRateScheduler(warm_up),)

PROGRAMS = (
    healthy(
        "cancer-converged",
        "converged",
        build=of(table, data.breast_cancer, "tanh", 20, 32),
        least=0.9,
    ),
    healthy(
        "wine-converged", "converged", build=of(table, data.wine, "relu", 40), least=0.9
    ),
    healthy(
        "digits-memorised",
        "converged",
        build=of(
            digits, of(dense, (96, 96), "tanh"), data.few_digits, batch=16, epochs=40
        ),
        least=0.7,
    ),
    healthy("dropout-half", "dropout", build=of(digits, of(dropped, 0.5)), least=0.8),
    healthy("dropout-most", "dropout", build=of(digits, of(dropped, 0.75)), least=0.5),
    healthy(
        "batch-norm-relu",
        "normalised",
        build=of(digits, of(normalised, layers.BatchNormalization)),
        least=0.85,
    ),
    healthy(
        "batch-norm-tanh",
        "normalised",
        build=of(digits, of(normalised, layers.BatchNormalization, "tanh")),
        least=0.85,
    ),
    healthy(
        "layer-norm-gelu",
        "normalised",
        build=of(digits, of(normalised, layers.LayerNormalization, "gelu")),
        least=0.85,
    ),
    healthy("frozen-below", "frozen", build=of(digits, frozen), least=0.7),
    healthy(
        "autoencoder-sigmoid",
        "autoencoder",
        build=of(bottleneck, "relu", "sigmoid"),
        least=0.4,
    ),
    healthy(
        "autoencoder-tanh",
        "autoencoder",
        build=of(bottleneck, "tanh", None, 0.004),
        least=0.3,
    ),
    healthy(
        "large-targets",
        "large-targets",
        build=of(
            regression, data.friedman, 1000.0, optimizer=of(keras.optimizers.Adam, 0.1)
        ),
        least=0.6,
    ),
    healthy(
        "diabetes-raw",
        "large-targets",
        build=of(
            regression,
            of(data.diabetes, scaled=False),
            optimizer=of(keras.optimizers.Adam, 0.02),
        ),
        least=0.2,
    ),
    healthy(
        "high-momentum",
        "momentum",
        build=of(digits, of(THREE, "relu"), optimizer=sgd(0.01, momentum=0.99)),
        least=0.8,
    ),
    healthy(
        "nesterov-tanh",
        "momentum",
        build=of(
            digits, of(THREE, "tanh"), optimizer=sgd(0.05, momentum=0.95, nesterov=True)
        ),
        least=0.85,
    ),
    healthy(
        "warm-up",
        "warm-up",
        build=of(digits, of(THREE, "relu"), callbacks=WARM_UP),
        least=0.85,
    ),
    healthy(
        "clipped-rmsprop",
        "momentum",
        build=of(
            digits,
            of(THREE, "relu"),
            optimizer=of(keras.optimizers.RMSprop, 0.005, global_clipnorm=1.0),
        ),
        least=0.8,
    ),
    healthy(
        "few-digits-relu",
        "tiny-data",
        build=of(
            digits, of(dense, (32, 32), "relu"), data.few_digits, batch=16, epochs=30
        ),
        least=0.6,
    ),
)
