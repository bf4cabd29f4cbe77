"""Healthy programs of convolutions, recurrence, attention and skip connections."""

import functools

import keras

from benchmarks.faults import data
from benchmarks.faults.networks import compiled, conv, layers, train
from benchmarks.faults.program import HEALTHY, Program

healthy = functools.partial(Program, kind=HEALTHY)
of = functools.partial


def images(**options):
    """Rectified convolutions and pooling on the digits."""
    blocks = conv((12, 24), "relu", **options)
    return train([*blocks[:1], layers.MaxPooling2D(), *blocks[1:]], data.digit_images())


def strokes():
    """A small network of convolutions on MNIST, half of whose pixels are always 0."""
    first, second, flat = conv((8, 16), "relu")
    blocks = [first, layers.MaxPooling2D(4), second, layers.MaxPooling2D(2), flat]
    return train(blocks, data.mnist(), epochs=4)


def recurrent(cell, load=data.waves, **options):
    """One recurrent layer over a sequence."""
    return train([cell(24, name="hidden_1", **options)], load(), epochs=16)


def two_ways():
    """A recurrent layer in both directions below another one."""
    first = layers.LSTM(12, return_sequences=True, name="forward")
    blocks = [layers.Bidirectional(first, name="both"), layers.GRU(12, name="last")]
    optimizer = of(keras.optimizers.Adam, 0.005)
    return train(blocks, data.digit_rows(), optimizer=optimizer, epochs=12)


def residual(depth=6):
    """Dense blocks, each added to what goes into it."""
    split = data.digits()
    inputs = keras.Input(split.x.shape[1:])
    x = layers.Dense(32, name="stem")(inputs)
    for number in range(depth):
        change = layers.Dense(32, "relu", name=f"wide_{number}")(x)
        change = layers.Dense(32, name=f"narrow_{number}")(change)
        x = layers.LayerNormalization(name=f"norm_{number}")(x + change)
    outputs = layers.Dense(10, "softmax", name="output")(x)
    return compiled(keras.Model(inputs, outputs, name="net"), split)


def attention(load=data.digit_rows):
    """One transformer block; the convolution tells it what lies beside what."""
    split = load()
    inputs = keras.Input(split.x.shape[1:])
    x = layers.Conv1D(24, 3, padding="same", name="embed")(inputs)
    mixed = layers.MultiHeadAttention(4, 6, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm_1")(x + mixed)
    change = layers.Dense(24, name="narrow")(layers.Dense(48, "gelu", name="wide")(x))
    x = layers.LayerNormalization(name="norm_2")(x + change)
    x = layers.GlobalAveragePooling1D()(x)
    outputs = layers.Dense(split.classes, "softmax", name="output")(x)
    return compiled(keras.Model(inputs, outputs, name="net"), split)


def embedded():
    """Tokens, of which the first is padding and masked."""
    split = data.tokens()
    inputs = keras.Input(split.x.shape[1:])
    x = layers.Embedding(20, 12, mask_zero=True, name="embedding")(inputs)
    x = layers.LSTM(16, name="hidden_1")(x)
    outputs = layers.Dense(1, "sigmoid", name="output")(x)
    model = keras.Model(inputs, outputs, name="net")
    return compiled(model, split, "binary_crossentropy", epochs=20)


def gated():
    """A sigmoid gate that opens and closes, times what it lets through."""
    split = data.digits()
    inputs = keras.Input(split.x.shape[1:])
    gate = layers.Dense(48, "sigmoid", name="gate")(10 * inputs)
    value = layers.Dense(48, "tanh", name="value")(inputs)
    outputs = layers.Dense(10, "softmax", name="output")(gate * value)
    return compiled(keras.Model(inputs, outputs, name="net"), split, epochs=16)


def mobile():
    """MobileNetV3Small from the start, on digits enlarged to 32x32."""
    split = data.digit_images()
    inputs = keras.Input((8, 8, 1))
    x = layers.UpSampling2D(4, interpolation="bilinear", name="larger")(inputs)
    body = keras.applications.MobileNetV3Small(
        (32, 32, 1),
        weights=None,
        include_top=False,
        include_preprocessing=False,
        pooling="avg",
        alpha=0.5,
    )
    outputs = layers.Dense(10, "softmax", name="output")(body(x))
    model = keras.Model(inputs, outputs, name="net")
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8  # 110 steps: statistics have to follow sooner
    optimizer = of(keras.optimizers.Adam, 0.003)
    return compiled(model, split, optimizer=optimizer, epochs=5)


PROGRAMS = (
    healthy("conv-pool", "conv", build=images, least=0.9),
    healthy(
        "conv-separable",
        "conv",
        build=of(images, layer=layers.SeparableConv2D),
        least=0.8,
    ),
    healthy("conv-mnist", "conv-mnist", build=strokes, least=0.7),
    healthy("lstm", "recurrent", build=of(recurrent, layers.LSTM), least=0.8),
    healthy("gru", "recurrent", build=of(recurrent, layers.GRU), least=0.8),
    healthy("rnn-tanh", "recurrent", build=of(recurrent, layers.SimpleRNN), least=0.8),
    healthy(
        "lstm-sums",
        "recurrent",
        build=of(recurrent, layers.LSTM, data.running_sums),
        least=0.6,
    ),
    healthy("bidirectional", "recurrent-stacked", build=two_ways, least=0.8),
    healthy("residual", "residual", build=residual, least=0.85),
    healthy("residual-12", "residual", build=of(residual, 12), least=0.85),
    healthy("transformer", "attention", build=attention, least=0.7),
    healthy(
        "transformer-waves", "attention", build=of(attention, data.waves), least=0.6
    ),
    healthy("masked-tokens", "masked", build=embedded, least=0.8),
    healthy("gates", "gates", build=gated, least=0.85),
    healthy("mobilenet-v3", "mobilenet", build=mobile, least=0.8),
)
