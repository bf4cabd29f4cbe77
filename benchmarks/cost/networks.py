"""The networks that are trained, batch 128, and what they are trained on."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 128
CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Network:
    """A network to be measured.

    Attributes:
        text: what it is, in a few words.
        shape: shape of one example.
        build: callable `(input) -> output`, of Keras tensors.
        ways: keys of `WAYS` that are compared; None for all. Where a step or its
            tracing takes long, only some.
        steps: training steps in a timed round, a multiple of 50: the monitor samples
            its first step and every 50th after, so that each round then holds the
            same share of sampled steps as a long run does.
        rounds: timed rounds.
        repeats: fresh processes, see `fresh.py`.
        xla: is it measured under XLA too?
    """

    text: str
    shape: tuple[int, ...]
    build: Callable
    ways: tuple[str, ...] | None = None
    steps: int = 50
    rounds: int = 9
    repeats: int = 3
    xla: bool = True


def mlp(x):
    for _ in range(4):
        x = layers.Dense(512, "relu")(x)
    return layers.Dense(CLASSES, "softmax")(x)


def cnn(x):
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(CLASSES, "softmax")(x)


def transformer(x):
    width = x.shape[-1]
    for _ in range(3):
        attended = layers.MultiHeadAttention(4, width // 4)(x, x)
        x = layers.LayerNormalization()(x + attended)
        fed = layers.Dense(width)(layers.Dense(2 * width, "gelu")(x))
        x = layers.LayerNormalization()(x + fed)
    x = layers.GlobalAveragePooling1D()(x)
    return layers.Dense(CLASSES, "softmax")(x)


def deep(depth):
    """A narrow MLP. Orthogonal weights keep its signal alive without residuals."""

    def build(x):
        for _ in range(depth):
            x = layers.Dense(64, "tanh", kernel_initializer="orthogonal")(x)
        return layers.Dense(CLASSES, "softmax")(x)

    return build


def mobilenet(x):
    return keras.applications.MobileNetV3Small(
        input_tensor=x, weights=None, classes=CLASSES, include_preprocessing=False
    ).output


NETWORKS = {
    "mlp": Network("MLP 784-512x4-10", (784,), mlp, steps=100),
    "cnn": Network("CNN, 4 convolutions, 32x32x3", (32, 32, 3), cnn),
    "transformer": Network(
        "transformer, 3 blocks, 64x128",
        (64, 128),
        transformer,
        # What happens once an epoch does not hang on the network.
        ways=("bare", "monitor", "every", "check", "histogram"),
        rounds=3,
    ),
    "deep10": Network("MLP, 10 layers of 64", (64,), deep(10), steps=200),
    "deep200": Network(
        "MLP, 200 layers of 64",
        (64,),
        deep(200),
        ways=("bare", "monitor"),
        rounds=5,
        repeats=1,
    ),
    "mobilenet": Network(
        "MobileNetV3Small, 32x32x3",
        (32, 32, 3),
        mobilenet,
        ways=("bare", "monitor"),
        rounds=5,
        repeats=1,
        # XLA's depthwise convolutions on a CPU are so slow that nothing else shows.
        xla=False,
    ),
}


def compiled(network, xla):
    """A model ready to train, with the same weights each time.

    Args:
        network: a `Network`.
        xla: bool, compile the training step with XLA.
    """
    keras.utils.set_random_seed(0)
    inputs = keras.Input(network.shape)
    model = keras.Model(inputs, network.build(inputs))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=xla)
    return model


def batches(network):
    """Batches of noise, ready in memory, without end.

    Nothing is shuffled or read while the clock runs, so that the bare step is as short
    as it can be and what is added to it shows in full.

    Returns:
        `tf.data.Dataset` of `(x, y)`. The graph does not know the size of a batch, as
        when arrays are given to `fit`.
    """
    noise = np.random.default_rng(0)
    x = noise.standard_normal((4 * BATCH, *network.shape), dtype="float32")
    y = noise.integers(0, CLASSES, len(x))
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH).cache().repeat()
