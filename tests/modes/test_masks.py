"""Padded positions are left out of the distributions, wherever Keras carries a mask."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_activations as ka
from tests.modes.runs import BATCH, EAGERLY, fit, make_monitor, watch
from tests.modes.twin import assert_describes, by_name

LENGTH, WIDTH = 5, 4
layers = keras.layers


def ragged(examples=2 * BATCH):
    """The grey levels, 1 to 16, of the first pixels in the first rows of digits."""
    pixels = load_digits().data[:examples, :12].astype("int32")
    return [row[row > 0][: 1 + place % LENGTH] for place, row in enumerate(pixels)]


def padded():
    """Levels, 0 for padding at the end or, in the second batch, before; and targets."""
    levels = np.concatenate(
        [
            keras.utils.pad_sequences(ragged()[:BATCH], LENGTH, padding="post"),
            keras.utils.pad_sequences(ragged()[BATCH:], LENGTH, padding="pre"),
        ]
    )
    return levels, (levels > 8).mean(axis=1, keepdims=True, dtype="float32")


def embedded(**options):
    """An input of levels, and their vectors with a mask."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    wide = keras.initializers.RandomNormal(stddev=1.5)
    options = {"mask_zero": True, "embeddings_initializer": wide, **options}
    return inputs, layers.Embedding(17, WIDTH, name="embedding", **options)(inputs)


def pooled(inputs, x):
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(1, name="head")(x))


def train(build, monitor=None, compile=(), **options):
    """Trains on `padded` unless told otherwise."""
    if "x" not in options:
        options |= dict(zip("xy", padded(), strict=True), batch_size=BATCH)
    compile = {"loss": "mse", "metrics": None, **dict(compile)}
    return fit(build, monitor, compile=compile, **options)


def weights_of(model, name):
    """The weights of a layer in float64."""
    return [np.float64(weight) for weight in model.get_layer(name).get_weights()]


def one_step(build, **options):
    """The layers of one watched step, with the model as it was before it."""
    x, y = (array[:BATCH] for array in padded())
    monitor, windows = make_monitor()
    options = {"x": x, "y": y, "batch_size": BATCH, **options}
    run = train(build, monitor, EAGERLY, **options)
    run.model.set_weights(run.before[0])
    return by_name(windows[0].layers), run.model, monitor


# In float64 NumPy


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def dense(activation, x, kernel, bias):
    return activation(x @ kernel + bias)


def recurrent(x, mask, units, step):
    """What leaves a recurrent layer: padded steps repeat the state before them."""
    state, outputs = np.zeros((2, len(x), units)), []
    for time in range(x.shape[1]):
        state = np.where(mask[:, time, None], step(x[:, time], *state), state)
        outputs.append(state[0])
    return np.stack(outputs, axis=1)


def lstm(x, mask, kernel, recurrent_kernel, bias):
    def step(x, hidden, carry):
        gates = x @ kernel + hidden @ recurrent_kernel + bias
        i, f, candidate, o = np.split(gates, 4, axis=1)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(candidate)
        return np.stack([sigmoid(o) * np.tanh(carry), carry])

    return recurrent(x, mask, len(recurrent_kernel), step)


def gru(x, mask, kernel, recurrent_kernel, biases):
    def step(x, hidden, _):
        z, r, candidate = np.split(x @ kernel + biases[0], 3, axis=1)
        inner = np.split(hidden @ recurrent_kernel + biases[1], 3, axis=1)
        z, r = sigmoid(z + inner[0]), sigmoid(r + inner[1])
        hidden = z * hidden + (1 - z) * np.tanh(candidate + r * inner[2])
        return np.stack([hidden, hidden])

    return recurrent(x, mask, len(recurrent_kernel), step)


# What Keras carries masks through


def test_recurrent_layers():
    """From the embedding to the pooling, which ends the mask."""
    wide = {"kernel_initializer": keras.initializers.RandomNormal(stddev=4)}

    def build():
        inputs, x = embedded()
        x = layers.LSTM(3, return_sequences=True, name="lstm")(x)
        # Keras calls the layer inside for one time step after the other, without masks.
        x = layers.TimeDistributed(
            layers.Dense(4, "tanh", name="inner", **wide), name="each"
        )(x)
        x = layers.Dense(4, "relu", name="rectified", **wide)(x)
        return pooled(inputs, layers.Dropout(0.2)(x))

    watched = watch(lambda monitor: train(build, monitor))

    levels, _ = padded()
    model = watched.model
    assert len(watched.windows) == 2
    for step, window in enumerate(watched.windows):
        batch = levels[BATCH * step : BATCH * (step + 1)]
        real, found = batch > 0, by_name(window.layers)
        assert real.any(axis=1).all() and not real.all()
        model.set_weights(watched.before[step])
        (table,) = weights_of(model, "embedding")
        hidden = lstm(table[batch], real, *weights_of(model, "lstm"))
        inner = dense(np.tanh, hidden, *weights_of(model, "each"))
        rectified = dense(relu, inner, *weights_of(model, "rectified"))
        for name, values in {
            "embedding": table[batch],
            "lstm": hidden,
            "inner": inner,
            "rectified": rectified,
        }.items():
            assert_describes(found[name], values[real], 1e-4)
        assert found["pool"].count == BATCH * 4


def test_both_directions():
    """The backward layer puts out the last time step first."""

    def build():
        inputs, x = embedded()
        lstm = layers.LSTM(3, return_sequences=True)
        x = layers.Bidirectional(lstm, name="both")(x)
        return pooled(inputs, x)

    found, model, _ = one_step(build)
    levels = padded()[0][:BATCH]
    real = levels > 0
    (table,) = weights_of(model, "embedding")
    weights = weights_of(model, "both")
    forward = lstm(table[levels], real, *weights[:3])
    backward = lstm(table[levels][:, ::-1], real[:, ::-1], *weights[3:])[:, ::-1]
    assert_describes(found["forward_lstm"], forward[real], 1e-4)
    assert_describes(found["backward_lstm"], backward[real], 1e-4)


def rows_of_digits():
    """Two batches of ragged sequences of pixel rows, padded to their longest."""
    images = load_digits().images[: 2 * BATCH].astype("float32") / 16
    rows = [image[: 2 + place % 4] for place, image in enumerate(images)]
    data = tf.data.Dataset.from_generator(
        lambda: ((row, row[0, 3:4]) for row in rows),
        output_signature=(tf.TensorSpec((None, 8)), tf.TensorSpec((1,))),
    )
    data = data.apply(tf.data.experimental.assert_cardinality(len(rows)))
    return data.padded_batch(BATCH, ((None, 8), (1,)))


def masked_rows():
    """Units that fire for padding only, for dark pixels only, for both and for none."""
    inputs = keras.Input((None, 8))
    x = layers.Masking(name="masking")(inputs)
    hidden = layers.Dense(5, "tanh", name="hidden")(x)
    slopes = keras.ops.convert_to_tensor([[-9.0, 9.0, 9.0, -9.0]] * 8)
    levels = keras.ops.convert_to_tensor([0.1, -0.1, 0.1, -0.1])
    x = layers.Dense(
        4,
        "relu",
        name="rectified",
        kernel_initializer=lambda shape, dtype=None: slopes,
        bias_initializer=lambda shape, dtype=None: levels,
    )(x)
    return pooled(inputs, layers.Concatenate()([hidden, x]))


@pytest.mark.parametrize("jit", [False, True], ids=["jit=False", "jit=True"])
def test_masking_and_padded_batches(jit):
    """Lengths that differ from batch to batch; a blank row is padding to `Masking`."""
    compile = {"jit_compile": jit, "optimizer": "sgd"}
    data = rows_of_digits()
    watched = watch(lambda monitor: train(masked_rows, monitor, compile, x=data))
    assert len(watched.windows) == 2
    model = watched.model
    for window, before, (x, _) in zip(
        watched.windows, watched.before, data, strict=True
    ):
        x, found = np.float64(x), by_name(window.layers)
        real = (x != 0).any(axis=2)
        model.set_weights(before)
        assert_describes(found["masking"], x[real])
        hidden = dense(np.tanh, x, *weights_of(model, "hidden"))
        assert_describes(found["hidden"], hidden[real])
        rectified = dense(relu, x, *weights_of(model, "rectified"))
        assert_describes(found["rectified"], rectified[real])
        assert found["rectified"].dead.tolist() == [True, False, False, True]
        assert (rectified > 0).any(axis=(0, 1)).tolist() == [True, True, True, False]


def test_attention():
    """Which takes the masks off its inputs while it runs."""

    def build():
        inputs, x = embedded()
        x = layers.Dense(WIDTH, "tanh", name="before")(x)
        x = layers.Attention(name="attention")([x, x])
        x = layers.MultiHeadAttention(2, 3, name="heads")(x, x)
        return pooled(inputs, layers.Dense(4, "relu", name="after")(x))

    watched = watch(lambda monitor: train(build, monitor))
    levels, _ = padded()
    model = watched.model
    for step, window in enumerate(watched.windows):
        batch, found = levels[BATCH * step :][:BATCH], by_name(window.layers)
        real = batch > 0
        model.set_weights(watched.before[step])
        (table,) = weights_of(model, "embedding")
        assert_describes(found["embedding"], table[batch][real])
        values = dense(np.tanh, table[batch], *weights_of(model, "before"))
        assert_describes(found["before"], values[real])
        scores = np.einsum("bqf,bkf->bqk", values, values)
        shares = np.exp(scores) * real[:, None, :]
        shares /= shares.sum(axis=2, keepdims=True)
        assert found["after"].count == real.sum() * 4
        assert_describes(found["attention"], (shares @ values)[real], 1e-4)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_masks_that_the_caller_gives(dtype):
    """Of any type that Keras takes; they go further than Keras's own."""
    x, y = (array[:BATCH] for array in padded())

    def build():
        inputs, x = embedded(mask_zero=False)
        mask = keras.Input((LENGTH,), dtype=dtype)
        x = layers.GRU(3, return_sequences=True, name="gru")(x, mask=mask)
        x = layers.Dense(2, "tanh", name="dense")(x)
        return pooled([inputs, mask], layers.Lambda(keras.ops.sin, mask=no_mask)(x))

    found, model, _ = one_step(build, x=[x, (x > 0).astype(dtype)])
    (table,) = weights_of(model, "embedding")
    assert_describes(found["embedding"], table[x])
    outputs = gru(table[x], x > 0, *weights_of(model, "gru"))
    assert_describes(found["gru"], outputs[x > 0], 1e-4)
    values = dense(np.tanh, outputs, *weights_of(model, "dense"))
    assert_describes(found["dense"], values[x > 0], 1e-4)


def no_mask(inputs, mask):
    return None


# What ends them


def test_a_layer_that_stops_the_mask():
    def build():
        inputs, x = embedded()
        x = layers.Dense(3, "tanh", name="before")(x)
        x = layers.Conv1D(3, 1, activation="tanh", name="stops")(x)
        return pooled(inputs, layers.Dense(3, "tanh", name="after")(x))

    with pytest.warns(UserWarning, match="'stops' .* does not support masking"):
        found, model, _ = one_step(build)
    levels = padded()[0][:BATCH]
    (table,) = weights_of(model, "embedding")
    values = dense(np.tanh, table[levels], *weights_of(model, "before"))
    assert_describes(found["before"], values[levels > 0])
    kernel, bias = weights_of(model, "stops")
    values = dense(np.tanh, values, kernel[0], bias)
    assert_describes(found["stops"], values)
    assert_describes(
        found["after"], dense(np.tanh, values, *weights_of(model, "after"))
    )


class Inner(layers.Layer):
    """Hands on the mask of its input, though the time axis is not the same any more."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return x[:, 1:-1]


def test_a_mask_that_does_not_fit():
    """The length shows only when the step runs; then all positions count."""
    inputs = keras.Input((None, 8))
    x = layers.Masking(name="masking")(inputs)
    x = Inner(name="inner")(x)
    x = layers.Lambda(keras.ops.sin, mask=no_mask)(x)
    model = pooled(inputs, x)
    model.compile("sgd", "mse")
    monitor, windows = make_monitor()
    model.fit(rows_of_digits(), verbose=0, shuffle=False, callbacks=[monitor])
    for window, (x, _) in zip(windows, rows_of_digits(), strict=True):
        x = np.float64(x)
        assert_describes(window.layers["masking"], x[(x != 0).any(axis=2)])
        assert_describes(window.layers["inner"], x[:, 1:-1])


class Last(layers.Layer):
    """Takes the only feature, so that the mask is over all axes of what is left."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return x[..., 0]


def test_a_mask_over_all_axes():
    def build():
        inputs, x = embedded()
        x = Last()(layers.Dense(1)(x))
        x = layers.ReLU(name="rectified")(x)
        x = layers.Lambda(keras.ops.sin, mask=no_mask)(x)
        return keras.Model(inputs, layers.Dense(1)(x))

    found, model, _ = one_step(build)
    levels = padded()[0][:BATCH]
    of = model.get_layer("rectified").output
    values = np.float64(keras.Model(model.input, of)(levels))
    real = levels > 0
    stats = found["rectified"]
    assert stats.count == real.sum()
    np.testing.assert_allclose(stats.mean, values[real].mean(), rtol=1e-5)
    dead = ((values == 0) | ~real).all(axis=0)
    np.testing.assert_array_equal(stats.dead, dead)


# Hardly anything but padding


def last_output():
    inputs, x = embedded()
    x = layers.Dense(4, "relu", name="rectified")(x)
    x = layers.GRU(3, name="gru")(x)  # its last output, without a mask
    return keras.Model(inputs, layers.Dense(1, name="head")(x))


def test_all_padding_but_one():
    x, y = (array[:BATCH] for array in padded())
    x = np.where(np.arange(BATCH)[:, None] == 5, x, 0)
    assert (x > 0).any()
    found, model, monitor = one_step(last_output, x=x)
    (table,) = weights_of(model, "embedding")
    assert_describes(found["embedding"], table[x[x > 0]])
    values = dense(relu, table[x[x > 0]], *weights_of(model, "rectified"))
    assert_describes(found["rectified"], values)
    assert found["gru"].count == BATCH * 3
    assert monitor.findings == []


def test_nothing_but_padding():
    """A layer that put out no data has no figures, and is not ill."""
    x, _ = padded()
    monitor, windows = make_monitor([ka.rules.DeadUnits(patience=1)])
    train(last_output, monitor, EAGERLY, x=0 * x, y=padded()[1], batch_size=BATCH)
    for window in windows:
        found = by_name(window.layers)
        assert (found["rectified"].count, found["rectified"].dead) == (0, None)
        assert found["gru"].count == BATCH * 3
    assert monitor.findings == []


class Inverse(layers.Layer):
    """Infinite at padding, which is 0."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return 1 / x


@pytest.mark.parametrize("how", ["fit", "evaluate"])
def test_what_is_not_finite_is_found_at_padding_as_well(how):
    images = load_digits().images[:BATCH, :3].astype("float32") + 1
    images[2:, 1:] = 0
    inputs = keras.Input((3, 8))
    x = Inverse(name="inverse")(layers.Masking()(inputs))
    model = pooled(inputs, x)
    model.compile("sgd", "mse", **EAGERLY)
    monitor, windows = make_monitor()
    call = getattr(model, how)
    call(images, images[:, 0, :1], verbose=0, callbacks=[monitor])
    (finding,) = monitor.findings
    padding = (BATCH - 2) * 2 * 8
    assert (finding.layer, finding.step, finding.value) == ("inverse", 1, padding)
    stats = windows[0].layers["inverse"]
    assert (stats.inf_count, stats.nan_count) == (padding, 0)
    real = 1 / np.float64(images[images > 0]).reshape(-1, 8)
    assert_describes(stats, real)
