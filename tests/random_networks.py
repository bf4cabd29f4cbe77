"""Networks drawn at random: what nobody would think of putting together."""

import random

import keras
from keras import layers

import keras_activations as ka

ACTIVATIONS = [
    *("celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu"),
    *("log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax"),
    *("softplus", "softsign", "tanh"),
    *(ka.functional.clipped_tanh, ka.functional.stable_gelu),
]
LAYERS = [
    layers.LeakyReLU,
    layers.PReLU,
    layers.Softmax,
    ka.ClippedTanh,
    ka.HardSwish,
    ka.StableGELU,
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.UnitNormalization,
    lambda: layers.GroupNormalization(2),
    lambda: layers.Rescaling(0.7, 0.1),
    lambda: layers.Dropout(0.3),
    lambda: layers.GaussianNoise(0.2),
]
MERGES = [layers.Add, layers.Average, layers.Maximum, layers.Multiply, layers.Subtract]
INPUTS = {"vectors": (16,), "sequences": (6, 8), "images": (8, 8, 4)}
OPTIMIZERS = [
    lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    lambda: keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
    lambda: keras.optimizers.Adam(1e-3, use_ema=True, ema_overwrite_frequency=2),
    lambda: keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2),
    keras.optimizers.SGD,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adamax,
    keras.optimizers.Lion,
    keras.optimizers.RMSprop,
]


def random_network(seed):
    """A classifier of ten classes, and an optimizer."""
    draw = random.Random(seed)
    kind = draw.choice(list(INPUTS))
    inputs = keras.Input(INPUTS[kind])
    x = inputs
    for _ in range(draw.randint(1, 3)):
        x = _block(draw, kind, x)
    if kind != "vectors":
        x = _whole(draw, kind)(x)
    return keras.Model(inputs, layers.Dense(10)(x)), draw.choice(OPTIMIZERS)()


def _block(draw, kind, x):
    y = x
    for _ in range(draw.randint(1, 4)):
        step = draw.random()
        if step < 0.35:
            y = _trained(draw, kind)(y)
        elif step < 0.5:
            y = layers.Activation(draw.choice(ACTIVATIONS))(y)
        else:
            y = draw.choice(LAYERS)()(y)
    if y.shape == x.shape and draw.random() < 0.7:
        return draw.choice(MERGES)()([x, y])
    return y


def _trained(draw, kind):
    options = {
        "activation": draw.choice([None, draw.choice(ACTIVATIONS)]),
        "use_bias": draw.random() < 0.8,
    }
    if kind == "images":
        make = draw.choice([layers.Conv2D, layers.SeparableConv2D])
        return make(8, 3, padding="same", **options)
    if kind == "sequences" and draw.random() < 0.5:
        return layers.Conv1D(8, 3, padding="same", **options)
    return layers.Dense(16, **options)


def _whole(draw, kind):
    pooled = {
        "sequences": [layers.GlobalAveragePooling1D, lambda: layers.LSTM(8)],
        "images": [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D],
    }
    return draw.choice([layers.Flatten, *pooled[kind]])()
