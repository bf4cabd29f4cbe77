"""Outputs that are part of one kernel: not read, and yet counted and sampled."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_activations as ka
from keras_activations.telemetry.fusion import fused, repeated
from keras_activations.telemetry.record import StepRecord
from tests.modes.runs import digits

GREATEST = np.float32(3e38)


def read_in_step(layer, read, shape=(4, 6), xla=False):
    """Whether a layer's output is one not to be read, and if so that and its repetition."""
    notes = {}

    @tf.function(autograph=False)
    def step(x):
        record = StepRecord(tf.constant(1, tf.int64), tf.constant(False), xla)
        y = layer(x)
        record.add_output(layer, y)
        results = read(y)
        notes["fused"] = fused(record) == {id(y)}
        return (results, y, repeated(y, xla)) if notes["fused"] else (results, y, y)

    _, y, again = step(tf.random.normal(shape, seed=1))
    np.testing.assert_allclose(again, y, rtol=1e-6)
    return notes["fused"]


@pytest.mark.parametrize(
    "read", [tf.tanh, tf.nn.elu, tf.sigmoid, lambda y: y + 1.0], ids="tesa"
)
def test_one_operation_may_be_taken_in(read):
    assert read_in_step(layers.Dense(3), read)
    image = (1, 5, 5, 2)
    assert read_in_step(layers.Conv2D(3, 3, use_bias=False), read, image)


def test_an_activation_of_several_operations_may_be_taken_in():
    assert read_in_step(layers.Dense(3), keras.activations.gelu)
    assert read_in_step(layers.Conv2D(3, 3), ka.functional.hard_swish, (1, 5, 5, 2))


def test_sums_may_be_made_one():
    # What is repeated goes back to where nothing is taken in: noise is not drawn anew.
    noise = layers.GaussianNoise(0.5)
    assert read_in_step(lambda x: noise(x, training=True), lambda y: y + 1.0)
    dense = layers.Dense(3)
    assert read_in_step(lambda x: 0.5 * dense(x) + 1.0, lambda y: 2.0 - y)
    # An identity stands behind a function with a gradient of its own.
    assert read_in_step(ka.StableGELU(), lambda y: 2.0 * y)


def test_under_xla_only_what_is_taken_as_a_whole_is_read():
    taken = layers.Dense(3)
    for layer in (
        layers.Activation("silu"),
        ka.HardSwish(),
        layers.Rescaling(0.5, 0.1),
    ):
        for read in (tf.reduce_mean, tf.nn.softmax, lambda y: y + 1.0):
            assert read_in_step(layer, read, xla=True)
        for move in (lambda y: y, lambda y: tf.transpose(tf.transpose(y))):
            read = functools.partial(lambda move, y: (taken(move(y)), y + 1.0), move)
            assert not read_in_step(layer, read, xla=True)
    bare = layers.Dense(3, use_bias=False)
    assert not read_in_step(bare, tf.reduce_mean, xla=True)
    assert not read_in_step(layers.LSTM(3), tf.reduce_mean, (2, 4, 6), xla=True)


def test_what_is_read_on_many_ways_is_repeated_once():
    def wound(y):
        for _ in range(600):
            y = y + 0.1 * tf.sin(y)
        return y

    assert read_in_step(wound, lambda y: y + 1.0, xla=True)


def test_nan_goes_through_all_that_is_taken_in(jit):
    """Otherwise nothing would tell of it: the output itself is not read."""
    functions = [tf.nn.elu, tf.nn.leaky_relu, tf.nn.softplus]
    functions += [tf.sigmoid, tf.tanh, tf.square, tf.negative, tf.math.erf]
    functions += [tf.math.erfc, lambda y: tf.maximum(y, 0.2 * y), lambda y: y**3]
    dense = layers.Dense(16, kernel_initializer="identity")

    @tf.function(jit_compile=jit)
    def computed(x):
        return [function(dense(x)) for function in functions]

    for place in range(16):
        x = np.ones((4, 16), "float32")
        x[1, place] = np.nan
        for function, y in zip(functions, computed(x), strict=True):
            assert np.isnan(y[1, place]), function


def test_where_nothing_is_taken_in():
    dense = layers.Dense(3)
    assert not read_in_step(dense, lambda y: (tf.tanh(y), tf.reduce_sum(y)))
    assert not read_in_step(dense, tf.reduce_sum)
    assert not read_in_step(dense, tf.identity)
    assert not read_in_step(dense, tf.nn.relu)  # in one kernel it would make 0 of NaN
    assert not read_in_step(layers.Dense(3, "tanh"), tf.tanh)
    eagerly = StepRecord(tf.constant(1, tf.int64), tf.constant(False))
    eagerly.add_output(dense, dense(tf.ones((4, 6))))
    assert not fused(eagerly)


def network(**options):
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(8, name="before", **options),
            layers.Activation("tanh", name="after"),
            layers.Dense(10, name="head"),
        ]
    )


def fit(model, x, y, jit=False, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=jit)
    monitor = ka.ActivationMonitor(verbose=0, **options)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[monitor])
    return monitor


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_is_sampled_all_the_same(policy, jit):
    x, y = digits(1)
    model = network(dtype=keras.DTypePolicy(policy))
    outputs = model.layers[0](x)
    expected = np.float64(keras.ops.cast(outputs, "float32"))
    (stats, *_) = fit(model, x, y, jit, layers=["*before"], every=1).stats.values()
    assert stats.count == expected.size
    rtol = 1e-5 if policy == "float32" else 2e-2
    np.testing.assert_allclose(stats.mean, expected.mean(), rtol)
    np.testing.assert_allclose(stats.std, expected.std(), rtol)


def overflowing(x, row):
    """The digits, where the product of one row with such a kernel overflows."""
    x = np.zeros_like(x)
    x[row] = 10.0
    return x, tf.fill((64, 8), GREATEST)


def test_nan_in_it_is_counted_where_it_arose(jit):
    x, y = digits(3)
    model = network()
    x, kernel = overflowing(x, row=17)
    model.layers[0].set_weights([kernel, np.full(8, -np.inf)])
    (finding,) = fit(model, x, y, jit, every=100).findings
    # Inf - Inf in one row; in the others the bias, which only tanh sees, is counted too.
    assert (finding.layer, finding.step) == (model.layers[0].path, 3)
    assert finding.value == 8 * 8


def test_a_bad_update_does_not_make_what_came_before_it_bad(jit):
    """By the end of the step the weights are NaN, and what was computed of them is not."""

    class Root(layers.Layer):
        def call(self, x):
            return keras.ops.sqrt(0.0 * x)

    x, y = digits(1)
    model = keras.Sequential([*network().layers, Root()])
    (finding,) = fit(model, x, y, jit, every=1).findings
    assert "gradient" in finding.message
    assert np.isnan(model.layers[0].kernel.numpy()).any()


def test_inf_that_a_bounded_activation_swallows_is_not_seen():
    """As in `Dense(8, "tanh")`, whose pre-activation nobody sees."""
    x, y = digits(1)
    x, kernel = overflowing(x, row=0)
    for model in (network(), network(activation="tanh")):
        model.layers[0].kernel.assign(kernel)
        assert np.abs(model.layers[0](x[:1])).max() >= 1
        monitor = fit(model, x, y, on_nonfinite="warn")
        assert not any(f.rule == "nonfinite" for f in monitor.findings)
