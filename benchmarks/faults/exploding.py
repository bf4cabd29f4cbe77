"""Faults whose gradients explode; what explodes overflows, so NaN is as right."""

import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.networks import conv, dense, initializers, layers, normal, train
from benchmarks.faults.program import TWIN, Program

fault = functools.partial(Program, kind="exploding_gradient", also=("nonfinite",))
twin = functools.partial(Program, kind=TWIN)
of = functools.partial

# So that the narrow networks learn in some 300 steps.
FAST = of(keras.optimizers.Adam, 0.005)

RATE = "learning_rate"
TARGETS = "unscaled_targets"


def exponential(load, depth, activation="exponential"):
    """The known networks with exponential activations."""
    kernel = keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")
    blocks = dense((5,) * depth, activation, kernel=kernel)
    return train(blocks, load(), optimizer=FAST, batch=128, epochs=45)


def friedman(rate=0.02, scale=1.0, momentum=0.0):
    """A rectified network for a smooth function, trained by plain descent."""
    split = data.friedman().targets(lambda y: y * scale)
    return train(
        dense((32, 32), "relu"),
        split,
        optimizer=lambda: keras.optimizers.SGD(rate, momentum=momentum),
        batch=50,
        epochs=16,
    )


def diabetes(scaled=True, rate=0.02):
    """The same for the diabetes data, in the units that they come in or scaled."""
    return train(
        dense((24, 24), "relu"),
        data.diabetes(scaled=scaled),
        optimizer=lambda: keras.optimizers.SGD(rate, momentum=0.9),
        batch=32,
        epochs=20,
    )


def sums(gain=1.0):
    """A rectified recurrent layer that adds up a sequence."""
    start = initializers.Identity(gain)
    cell = layers.SimpleRNN(16, "relu", recurrent_initializer=start, name="hidden_1")
    optimizer = of(keras.optimizers.SGD, 0.002)
    return train([cell], data.running_sums(), optimizer=optimizer, epochs=16)


def digits(kernel=None, rate=0.1, schedule=None, activation="relu"):
    """Six rectified layers on the digits, trained by plain descent."""
    callbacks = (keras.callbacks.LearningRateScheduler(schedule),) if schedule else ()
    return train(
        dense((32,) * 6, activation, kernel=kernel),
        data.digits(),
        optimizer=lambda: keras.optimizers.SGD(rate),
        callbacks=callbacks,
    )


def images(rate=0.05):
    """Convolutions trained with momentum."""
    return train(
        conv((8, 12), "relu"),
        data.digit_images(),
        optimizer=lambda: keras.optimizers.SGD(rate, momentum=0.9),
    )


def _raised(epoch, rate):
    """A thousand times the learning rate after a quarter of the training."""
    return 100.0 if epoch >= 3 else rate


TWINS = (
    twin(
        "tanh-5-circles", "exponential", build=of(exponential, data.circles, 5, "tanh")
    ),
    twin("tanh-4-blobs", "exponential", build=of(exponential, data.blobs, 4, "tanh")),
    twin("friedman-sgd", "friedman-rate", build=friedman),
    twin("friedman-momentum", "friedman-momentum", build=of(friedman, momentum=0.9)),
    twin("diabetes-sgd", "raw-targets", build=diabetes),
    twin("identity-sums", "recurrent-blow-up", build=sums),
    twin("relu-6-digits-sgd", "large-relu", build=digits),
    twin("momentum-images", "conv-rate", build=images),
)

PROGRAMS = (
    fault(
        "exponential-5-circles",
        "exponential",
        build=of(exponential, data.circles, 5),
        twin="tanh-5-circles",
    ),
    fault(
        "exponential-4-blobs",
        "exponential",
        build=of(exponential, data.blobs, 4),
        twin="tanh-4-blobs",
    ),
    fault(
        "friedman-learning-rate",
        "friedman-rate",
        build=of(friedman, rate=3.0),
        twin="friedman-sgd",
        cause=RATE,
    ),
    fault(
        "friedman-momentum-rate",
        "friedman-momentum",
        build=of(friedman, rate=0.5, momentum=0.99),
        twin="friedman-momentum",
        also=("nonfinite", "dead_units"),
        cause=RATE,
    ),
    fault(
        "friedman-raw-targets",
        "raw-targets",
        build=of(friedman, scale=1000.0),
        twin="friedman-sgd",
        also=("nonfinite", "dead_units"),
        cause=TARGETS,
    ),
    fault(
        "diabetes-raw-targets",
        "raw-targets",
        build=of(diabetes, scaled=False),
        twin="diabetes-sgd",
        also=("nonfinite", "dead_units"),
        cause=TARGETS,
    ),
    fault(
        "recurrent-blow-up",
        "recurrent-blow-up",
        build=of(sums, gain=4.0),
        twin="identity-sums",
        layers=("hidden_1",),
        cause="large_weights",
    ),
    fault(
        "relu-large-weights",
        "large-relu",
        build=of(digits, normal(3.0)),
        twin="relu-6-digits-sgd",
        also=("nonfinite", "dead_units"),
        cause="large_weights",
    ),
    fault(
        "relu-rate-raised-later",
        "rate-raised-later",
        build=of(digits, schedule=_raised),
        twin="relu-6-digits-sgd",
        also=("nonfinite", "dead_units"),
        cause=RATE,
        onset=0.25,
    ),
    fault(
        "conv-momentum-rate",
        "conv-rate",
        build=of(images, rate=5.0),
        twin="momentum-images",
        also=("nonfinite", "dead_units"),
        cause=RATE,
    ),
)
