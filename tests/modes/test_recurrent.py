"""Recurrent layers: what leaves the loop is described, and the loop stays as it was."""

import keras
import numpy as np

from tests.modes.runs import BATCH, digits, fit, make_monitor, watch
from tests.modes.twin import assert_describes

LAYERS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simple": keras.layers.SimpleRNN,
}


def rows_of_pixels(steps):
    x, y = digits(steps)
    return x.reshape(-1, 8, 8), y


def network(dtype="float32"):
    wide = keras.initializers.RandomNormal(stddev=0.8)
    inputs = x = keras.Input((8, 8), dtype=dtype)
    for name, layer in LAYERS.items():
        x = layer(
            6, return_sequences=True, name=name, dtype=dtype, kernel_initializer=wide
        )(x)
    x = keras.layers.Flatten(dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="head", dtype=dtype)(x))


def choices(model):
    """What decides on the kernel that a recurrent layer runs in."""
    names = ("activation", "recurrent_activation", "use_bias", "dropout", "unroll")
    return [
        [getattr(owner, name, None) for name in (*names, "use_cudnn", "reset_after")]
        for layer in model.layers
        if isinstance(layer, keras.layers.RNN)
        for owner in (layer, layer.cell)
    ]


def test_recurrent_layers():
    x, y = rows_of_pixels(3)
    seen = []

    def run(monitor):
        look = keras.callbacks.LambdaCallback(
            on_train_begin=lambda logs: seen.append(choices(look.model)),
            on_train_batch_end=lambda batch, logs: seen.append(choices(look.model)),
        )
        return fit(network, monitor, [look], x=x, y=y, batch_size=BATCH)

    watched = watch(run)
    assert seen == [choices(network())] * len(seen)
    twin = network("float64")
    layers = [twin.get_layer(name) for name in LAYERS]
    outputs = keras.Model(twin.input, [layer.output for layer in layers])
    assert len(watched.windows) == 3
    for step, window in enumerate(watched.windows):
        twin.set_weights(watched.before[step])
        batch = x[BATCH * step : BATCH * (step + 1)]
        for layer, values in zip(layers, outputs(batch), strict=True):
            stats = window.layers[layer.name]
            assert stats.activation == "tanh"
            assert_describes(stats, values.numpy())
            assert stats.gradient_norm > 0


def test_states_handed_on_are_not_outputs():
    """The state of an LSTM's cell has no bounds, and its last output is no new one."""
    inputs = keras.Input((8, 8))
    layer = keras.layers.LSTM(6, return_sequences=True, return_state=True, name="lstm")
    sequence, *states = layer(inputs)
    x = keras.layers.Concatenate()([sequence[:, -1], *states])
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = rows_of_pixels(1)
    values = np.float64(layer(x)[0])
    monitor, _ = make_monitor()
    model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[monitor])
    assert_describes(monitor.stats["lstm"], values)
