"""Small networks on digits that fall ill from the start, and what they are fitted with."""

import keras
from keras import layers

import keras_activations as ka
from keras_activations.health.finding import RULES
from tests.modes.runs import digits

LARGE = keras.initializers.RandomNormal(stddev=6.0, seed=1)
LOW = keras.initializers.Constant(-5.0)
BATCH, ROWS, EPOCHS = 32, 640, 8


class Root(layers.Layer):
    """The square root of the rectified input, whose gradient at 0 is NaN."""

    def call(self, x):
        return keras.ops.sqrt(keras.ops.relu(x))


def saturated():
    return [layers.Dense(24, "tanh", kernel_initializer=LARGE) for _ in range(2)]


def ones():
    return [layers.Dense(24, "tanh", kernel_initializer="ones") for _ in range(2)]


def saturated_apart():
    return [
        layers.Dense(24, kernel_initializer=LARGE),
        layers.Dropout(0.1),
        layers.Activation("sigmoid"),
    ]


def dead():
    return [layers.Dense(24, "relu", bias_initializer=LOW) for _ in range(2)]


def dead_convolution():
    return [
        layers.Reshape((8, 8, 1)),
        layers.Conv2D(6, 3, bias_initializer=LOW),
        layers.ReLU(),
        layers.Flatten(),
    ]


def vanishing():
    return [layers.Dense(16, "sigmoid") for _ in range(10)]


def bad_gradient():
    return [layers.Dense(24), Root()]


def overflowing():
    huge = keras.initializers.RandomNormal(stddev=1e25, seed=1)
    return [layers.Dense(24, "relu", kernel_initializer=huge) for _ in range(2)]


def healthy():
    return [layers.Dense(24, "tanh"), layers.Dense(24, "relu")]


def normalised():
    return [
        layers.Reshape((8, 8, 1)),
        layers.Conv2D(6, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(0.2),
    ]


def compiled(hidden, optimizer=None, **options):
    """A compiled classifier of digits, from the seed."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((64,)), *hidden(), layers.Dense(10, "softmax")]
    )
    optimizer = optimizer or keras.optimizers.Adam(1e-2)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def fit(model, monitor=None, rows=ROWS, epochs=EPOCHS, callbacks=()):
    """The history of a fit; further callbacks come after the monitor."""
    x, y = digits(rows // 8)
    callbacks = [*([monitor] if monitor else []), *callbacks]
    options = {"batch_size": BATCH, "epochs": epochs, "verbose": 0, "shuffle": False}
    return model.fit(x[:rows], y[:rows], callbacks=callbacks, **options).history


def treating(action, **options):
    """A monitor with the same action for every rule."""
    actions = {f"on_{rule}": action for rule in RULES}
    return ka.ActivationMonitor(**{"every": 5, "verbose": 0, **actions, **options})
