"""What needs no sentinel of its own: wherever NaN or Inf stands, something else shows it."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_activations as ka
from keras_activations.telemetry import faults
from keras_activations.telemetry.implied import implied
from keras_activations.telemetry.record import StepRecord
from tests.modes.runs import digits

BAD = [math.nan, math.inf, -math.inf]
IMAGE, SEQUENCE, VOLUME = (1, 5, 5, 2), (2, 6, 3), (1, 4, 4, 4, 1)
READERS = [
    (lambda: layers.Dense(3), (4, 5), None),
    (lambda: layers.Dense(3, "relu"), SEQUENCE, None),
    (lambda: layers.EinsumDense("abc,cd->abd", (None, 4)), SEQUENCE, None),
    (lambda: layers.Conv1D(2, 3, padding="causal"), SEQUENCE, None),
    (lambda: layers.Conv1D(2, 2, strides=2, padding="same"), SEQUENCE, None),
    (lambda: layers.Conv2D(2, 3), IMAGE, None),
    (lambda: layers.Conv2D(2, 1, use_bias=False), IMAGE, None),
    (lambda: layers.Conv2D(2, (3, 2), strides=2, padding="same"), IMAGE, None),
    (lambda: layers.Conv2D(2, 3, groups=2), IMAGE, None),
    (lambda: layers.Conv3D(2, 2), VOLUME, None),
    (lambda: layers.DepthwiseConv1D(3), SEQUENCE, None),
    (lambda: layers.DepthwiseConv2D(3, strides=2, padding="same"), IMAGE, None),
    (lambda: layers.BatchNormalization(), IMAGE, True),
    (lambda: layers.BatchNormalization(), IMAGE, False),
    (lambda: layers.BatchNormalization(center=False, momentum=0.5), (4, 5), True),
    (lambda: layers.BatchNormalization(center=False, momentum=0.5), (4, 5), False),
    (lambda: layers.LayerNormalization(), SEQUENCE, None),
    (lambda: layers.RMSNormalization(), SEQUENCE, None),
]
NOT_CERTAIN = [
    (lambda: layers.Conv2D(2, 3, strides=2), IMAGE),  # a margin is read by no window
    (lambda: layers.Conv2D(2, 2, strides=3, padding="same"), IMAGE),
    (lambda: layers.Conv1D(2, 3, dilation_rate=2), SEQUENCE),
    (lambda: layers.Dense(3, trainable=False), (4, 5)),
    (lambda: layers.BatchNormalization(scale=False), (4, 5)),
    (lambda: layers.Conv2DTranspose(2, 3), IMAGE),
    (lambda: layers.LSTM(3), SEQUENCE),
]


def recorded(layer, shape):
    """The record of a step in which a layer reads what another puts out."""
    x = tf.ones(shape)
    record = StepRecord(tf.constant(1, tf.int64), sampling=tf.constant(False))
    record.gradients_of_the_tape = True
    record.add_output(layers.Identity(), x)
    y = layer(x)
    record.add_call(layer, x, y)
    record.add_output(layer, y)
    record.gradients = [(v, tf.zeros(v.shape)) for v in layer.trainable_variables]
    return record, x


@pytest.mark.parametrize(("make", "shape", "training"), READERS)
def test_any_bad_input_is_in_the_gradient(make, shape, training, jit):
    """Even where nothing of the output counts, at every place of the input."""
    layer = make()
    record, x = recorded(layer, shape)
    assert id(x) in implied(record)
    options = {} if training is None else {"training": training}

    @tf.function(jit_compile=jit)
    def squares(x):
        with tf.GradientTape() as tape:
            y = tf.nn.relu(layer(x, **options))
        weights = layer.trainable_variables
        gradients = tape.gradient(y, weights, output_gradients=tf.zeros_like(y))
        return tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients])

    fine = np.random.default_rng(0).normal(size=shape).astype("float32")
    assert squares(fine) == 0
    for place in np.ndindex(shape):
        for bad in BAD:
            x = fine.copy()
            x[place] = bad
            assert not np.isfinite(squares(x)), (place, bad)


LATE = np.array([[True, False, False], [False] * 3])[:, None]  # no one attends
SEVERAL = {"num_heads": 2, "key_dim": 2, "value_dim": 3}
GROUPED = {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2}
ATTENTION = [
    (layers.MultiHeadAttention, SEVERAL, {}),
    (layers.MultiHeadAttention, SEVERAL, {"attention_mask": LATE}),
    (layers.MultiHeadAttention, SEVERAL | {"dropout": 0.5}, {"attention_mask": LATE}),
    (layers.GroupQueryAttention, GROUPED | {"use_gate": True}, {}),
]


@pytest.mark.parametrize("part", ["query", "key", "value"])
@pytest.mark.parametrize(("kind", "settings", "options"), ATTENTION)
def test_attention_shows_its_parts(kind, settings, options, part, jit, monkeypatch):
    """Even where no position attends to another and nothing of the output counts."""
    layer, shape = kind(**settings), (2, 3, 4)
    layer.build(shape, shape)
    dense = getattr(layer, f"_{part}_dense")
    project = dense.call
    poison = tf.Variable(tf.zeros((*shape[:2], *dense.kernel.shape[1:])))
    monkeypatch.setattr(dense, "call", lambda x, **_: project(x) + poison)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")

    @tf.function(jit_compile=jit)
    def squares():
        with tf.GradientTape() as tape:
            y = layer(x, x, training=True, **options)
        weights = [v for v in layer.trainable_variables if v.name == "kernel"]
        gradients = tape.gradient(y, weights, output_gradients=tf.zeros_like(y))
        return tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients])

    assert squares() == 0
    for place in np.ndindex(*poison.shape):
        for bad in BAD:
            there = np.zeros(poison.shape)
            there[place] = bad
            poison.assign(there)
            assert not np.isfinite(squares()), (place, bad)


@pytest.mark.parametrize(("make", "shape"), NOT_CERTAIN)
def test_where_that_is_not_certain_it_has_a_sentinel(make, shape):
    record, x = recorded(make(), shape)
    assert id(x) not in implied(record)


def test_what_a_gradient_cannot_tell():
    layer = layers.Dense(3)
    record, x = recorded(layer, (4, 5))
    record.gradients_of_the_tape = False  # the user may have put 0 for NaN
    assert not implied(record)
    record.gradients_of_the_tape = True
    record.add_call(layer, None, tf.ones((4, 3)))  # which call is it of?
    assert not implied(record)
    quantized, x = recorded(layers.Dense(3, dtype="float8_from_float32"), (4, 5))
    assert id(x) not in implied(quantized)  # clips what it reads


BOUNDED = [
    layers.MaxPooling2D,
    layers.Flatten,
    layers.ReLU,
    lambda: layers.ReLU(max_value=3.0),
    layers.Softmax,
    *(lambda name=name: layers.Activation(name) for name in ("tanh", "relu6")),
    ka.ClippedTanh,
    ka.HardSwish,
    ka.StableGELU,
    lambda: ka.StableGELU(approximate=True),
]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("make", BOUNDED)
def test_what_comes_finite_of_the_finite(make, dtype):
    greatest = float(tf.as_dtype(dtype).max)
    x = tf.cast(np.linspace(-greatest, greatest, 64), dtype)
    layer = make()
    layer.dtype_policy = keras.DTypePolicy(dtype)
    y = layer(tf.reshape(x, (1, 4, 4, 4)))
    assert np.isfinite(np.float64(y)).all()


def test_it_has_none_only_if_what_it_comes_of_is_watched():
    pool, x = layers.MaxPooling2D(), tf.ones((1, 4, 4, 1))
    record, _ = recorded(pool, IMAGE)
    (_, first), (_, second) = record.outputs
    assert implied(record) == {id(second)}
    record.outputs = record.outputs[1:]  # what it comes of are the data
    assert not implied(record)
    same = layers.Dropout(0.5)
    record.outputs, record.calls = [(same, x)], []
    record.add_call(layers.Flatten(), x, x)
    assert not implied(record)


class Poison(layers.Layer):
    """NaN in the example that has the greatest pixel of all."""

    def call(self, x):
        bad = keras.ops.max(x) >= 900
        return keras.ops.where(bad, math.nan, x)


class Healer(layers.Layer):
    def call(self, x):
        return keras.ops.where(keras.ops.isfinite(x), x, 0.0)


@pytest.fixture
def spared(monkeypatch):
    """The names of the layers whose outputs a run spares, once it has begun."""
    names = []

    def noted(record):
        ids = implied(record)
        names.extend(layer.name for layer, x in record.outputs if id(x) in ids)
        return ids

    monkeypatch.setattr(faults, "implied", noted)
    return names


def fit(model):
    model.compile("sgd", "mse")
    x, _ = digits(1)
    monitor = ka.ActivationMonitor(verbose=0)
    model.fit(x, x[:, :10], verbose=0, callbacks=[monitor])


def test_fit_spares_them(spared):
    names = ("first", "second", "head")
    stack = [layers.Dense(10, name=name) for name in names]
    fit(keras.Sequential([keras.Input((64,)), *stack]))
    assert spared == ["first", "second"]


@pytest.mark.parametrize("frozen", [None, "query", "key", "attention_output"])
def test_fit_spares_the_parts_of_attention(spared, frozen):
    inputs = keras.Input((64,))
    x = layers.Reshape((8, 8))(inputs)
    attention = layers.MultiHeadAttention(2, 4)
    outputs = layers.Dense(10, name="head")(layers.Flatten()(attention(x, x)))
    for dense in attention._flatten_layers(include_self=False):
        dense.trainable = dense.name != frozen
    fit(keras.Model(inputs, outputs))
    not_shown = {
        None: set(),
        "query": {"query", "key"},
        "key": {"query", "key"},
        "attention_output": {"value"},
    }
    assert {"query", "key", "value"} - set(spared) == not_shown[frozen]


@pytest.mark.parametrize("own_step", [False, True])
def test_a_fault_that_nothing_downstream_shows(own_step, jit):
    class Cleaning(keras.Model):
        """Its gradients have 0 for NaN, as many a user's have."""

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            weights = self.trainable_variables
            gradients = [
                tf.where(tf.math.is_finite(g), g, 0.0)
                for g in tape.gradient(loss, weights)
            ]
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return {"loss": loss}

    inputs = keras.Input((64,))
    x = Poison(name="poison")(layers.Dense(8, name="first")(inputs))
    x = Healer()(layers.Dense(8, name="second")(x))
    outputs = layers.Dense(10, name="head")(x)
    model = (Cleaning if own_step else keras.Model)(inputs, outputs)
    model.layers[1].kernel.assign(tf.ones((64, 8)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4), loss, jit_compile=jit)
    pixels, labels = digits(4)
    pixels = pixels.copy()
    pixels[17, 0] = 1000.0
    monitor = ka.ActivationMonitor(every=100, verbose=0)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(pixels, labels, callbacks=[monitor], **options)
    (finding,) = monitor.findings
    assert (finding.rule, finding.layer, finding.step) == ("nonfinite", "poison", 3)
    assert finding.value == 8 * 8
