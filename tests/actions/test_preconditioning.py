"""Updates made as though what comes into a layer were standardised."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_activations.actions.preconditioning import Preconditioner
from tests.actions.steps import step

RAW = np.random.default_rng(1).normal(30.0, [0.1, 5.0, 200.0], (64, 3)).astype("f4")
SEQUENCES = RAW.reshape(16, 4, 3)
IMAGES = np.random.default_rng(2).normal(7.0, 3.0, (8, 6, 6, 2)).astype("f4")

KINDS = {
    "dense": (RAW, lambda: [layers.Dense(4, "tanh")]),
    "without_bias": (RAW, lambda: [layers.Dense(4, "tanh", use_bias=False)]),
    "convolution": (
        IMAGES,
        lambda: [layers.Conv2D(4, 3, padding="same"), layers.Flatten()],
    ),
    "sequence": (
        SEQUENCES,
        lambda: [layers.Conv1D(4, 2, strides=2), layers.Flatten()],
    ),
    "distributed": (
        SEQUENCES,
        lambda: [layers.TimeDistributed(layers.Dense(4, "tanh")), layers.Flatten()],
    ),
    "simple": (SEQUENCES, lambda: [layers.SimpleRNN(4)]),
    "lstm": (SEQUENCES, lambda: [layers.LSTM(4)]),
    "gru": (SEQUENCES, lambda: [layers.GRU(4)]),
    "gru_before": (SEQUENCES, lambda: [layers.GRU(4, reset_after=False)]),
}


def built(hidden, x):
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input(x.shape[1:]), *hidden, layers.Dense(1)])


def preconditioned(model, x, optimizer=None):
    preconditioner = Preconditioner()
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    return preconditioner, preconditioner.add(model, x, optimizer)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_what_is_learnt(kind):
    x, hidden = KINDS[kind]
    model = built(hidden(), x)
    preconditioner, done = preconditioned(model, x)
    assert done
    variables = model.trainable_variables
    held = [tf.convert_to_tensor(v.value) for v in variables]
    at = {id(v): i for i, v in enumerate(variables)}
    inner = list(held)

    def rewrite(values, how):
        values = list(values)
        for layer in preconditioner.layers.values():
            kernel = at[id(layer.kernel)]
            bias = None if layer.bias is None else at[id(layer.bias)]
            given = None if bias is None else values[bias]
            values[kernel], given = getattr(layer, how)(values[kernel], given)
            if bias is not None:
                values[bias] = given
        return values

    inner = rewrite(held, "inner")
    for one, other in zip(rewrite(inner, "outer"), held, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    rest = model.non_trainable_variables

    def loss(values):
        return tf.reduce_mean(tf.square(model.stateless_call(values, rest, x)[0]))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch([inner, held])
        through = loss(rewrite(inner, "outer"))
        plain = loss(held)
    expected = tape.gradient(through, inner)
    seen = preconditioner.gradients(tape.gradient(plain, held), variables)
    for one, other in zip(seen, expected, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-2 * scale + 1e-6)


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_learns_as_on_scaled_inputs(kind):
    y = RAW[:, :1] / 200 - RAW[:, 1:2] / 10
    mean, deviation = RAW.mean(axis=0), RAW.std(axis=0)
    scaled = (RAW - mean) / deviation
    twin, model = (built([layers.Dense(4, "tanh")], RAW) for _ in range(2))
    first, own = model.layers[0], twin.layers[0].kernel.numpy()
    first.kernel.assign(own / deviation[:, None])
    first.bias.assign(-mean @ (own / deviation[:, None]))
    optimizers, square = (kind(0.05), kind(0.05)), keras.losses.mean_squared_error
    preconditioner, _ = preconditioned(model, RAW, optimizers[0])
    # Those of the head stay as they are in the twin.
    head = model.layers[-1].kernel
    del preconditioner.layers[id(head)]
    for _ in range(10):
        step(model, optimizers[0], square, RAW, y, preconditioner)
        step(twin, optimizers[1], square, scaled, y)
    np.testing.assert_allclose(model(RAW), twin(scaled), rtol=1e-2, atol=1e-2)


def test_in_mixed_precision_the_data_is_known_as_such():
    """Keras casts it, to float32 for the model and to float16 for each layer."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = built([layers.Dense(4, "tanh")], RAW)
    finally:
        keras.config.set_dtype_policy("float32")
    before = model.layers[0].kernel.numpy()
    preconditioner, _ = preconditioned(model, RAW)
    assert [s.of_data for s in preconditioner.layers.values()] == [True, False]
    preconditioner = Preconditioner()
    assert preconditioner.rewrite(model, RAW, None)
    deviation = np.float16(RAW).astype("f8").std(axis=0)
    kernel = model.layers[0].kernel.numpy()
    np.testing.assert_allclose(kernel * deviation[:, None], before, rtol=1e-5)


def test_left_alone():
    shared = layers.Dense(3)
    hidden = [
        layers.Dense(3, kernel_constraint="max_norm"),
        layers.Dense(3, trainable=False),
        shared,
        shared,
        layers.Dense(3, dtype="float16"),
    ]
    x = keras.Input((3,))
    y = x
    for layer in hidden:
        y = layer(y)
    model = keras.Model(x, layers.Dense(1)(y))
    preconditioner, _ = preconditioned(model, RAW)
    treated = {id(s.kernel) for s in preconditioner.layers.values()}
    assert treated == {id(model.layers[-1].kernel)}


def test_not_with_an_average_of_the_weights():
    model = built([layers.Dense(4)], RAW)
    _, done = preconditioned(model, RAW, keras.optimizers.SGD(0.1, use_ema=True))
    assert not done


def test_a_constant_input_changes_nothing_much():
    x = RAW.copy()
    x[:, 0] = 5.0
    model = built([layers.Dense(4)], x)
    preconditioner, _ = preconditioned(model, x)
    deviation = preconditioner.layers[id(model.layers[0].kernel)].deviation
    assert deviation[1, 0] <= deviation[0, 0] <= deviation[2, 0]


def test_a_layer_that_is_distributed_and_called_by_itself_is_left_alone():
    inputs, shared = keras.Input(SEQUENCES.shape[1:]), layers.Dense(3)
    x = layers.TimeDistributed(shared)(inputs)
    x = layers.Flatten()(shared(x))
    model = keras.Model(inputs, layers.Dense(1)(x))
    preconditioner, _ = preconditioned(model, SEQUENCES)
    treated = {id(s.kernel) for s in preconditioner.layers.values()}
    assert treated == {id(model.layers[-1].kernel)}


def test_states_without_bounds_are_left_alone():
    # What they are in one batch says nothing of the next.
    first = layers.SimpleRNN(4, "relu", return_sequences=True)
    model = built([first, layers.SimpleRNN(4, "relu")], SEQUENCES)
    preconditioner, _ = preconditioned(model, SEQUENCES)
    treated = {id(s.kernel) for s in preconditioner.layers.values()}
    assert treated == {id(first.cell.kernel), id(model.layers[-1].kernel)}


def test_data_comes_in_any_units_and_units_that_hardly_vary_may_yet():
    kernel = np.diag([1.0, 1e-2, 1.0]).astype("f4")
    x = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0) * [1.0, 1.0, 1e-2]
    model = built([layers.Flatten(), layers.Dense(3)], x)
    model.layers[1].kernel.assign(kernel)
    preconditioner, _ = preconditioned(model, x.astype("f4"))
    of_data, of_units = (
        preconditioner.layers[id(layer.kernel)].deviation[:, 0]
        for layer in model.layers[1:]
    )
    np.testing.assert_allclose(of_data, [1.0, 1.0, 1e-2], rtol=1e-3)
    np.testing.assert_allclose(of_units, 1.0, rtol=1e-3)


def test_a_pixel_that_is_mostly_one_value_says_little_of_itself():
    x = np.random.default_rng(5).normal(0.5, 0.3, (64, 3)).astype("f4")
    x[:, 2] = 0.0
    x[:2, 2] = 0.01  # in other batches it may be 1
    model = built([layers.Dense(4)], x)
    preconditioner, _ = preconditioned(model, x)
    deviation = preconditioner.layers[id(model.layers[0].kernel)].deviation[:, 0]
    np.testing.assert_allclose(deviation[:2], x[:, :2].std(axis=0), rtol=1e-3)
    assert deviation[2] >= deviation[:2].min()


def test_features_of_very_different_sizes():
    normal = np.random.default_rng(6).normal(size=(64, 4))
    scales, means = np.array([1.0, 0.2, 1e6, 1e-6]), np.array([0.0, 1.0, 1.7e9, 0.0])
    x = normal * scales + means
    rare = (np.arange(64) < 2)[:, None] * 3.0
    x = np.concatenate([x, rare], axis=1).astype("f4")
    model = built([layers.Dense(4)], x)
    preconditioner, _ = preconditioned(model, x)
    deviation = preconditioner.layers[id(model.layers[0].kernel)].deviation[:, 0]
    np.testing.assert_allclose(deviation[:4], x[:, :4].std(axis=0), rtol=1e-3)
    assert 1.0 < deviation[4] < 2.0  # neither the smallest nor the timestamp's


@pytest.mark.parametrize("kind", ["dense", "lstm", "sequence", "distributed"])
def test_what_was_drawn_for_scaled_data_is_rewritten_for_raw(kind):
    x, hidden = KINDS[kind]
    model = built(hidden(), x)
    scaled = (x - x.mean(axis=tuple(range(x.ndim - 1)))) / x.std(
        axis=tuple(range(x.ndim - 1))
    )
    expected, head = model(scaled).numpy(), model.layers[-1].kernel.numpy()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    assert Preconditioner().rewrite(model, x, optimizer)
    np.testing.assert_allclose(model(x), expected, rtol=1e-2, atol=1e-2)
    np.testing.assert_array_equal(model.layers[-1].kernel, head)
