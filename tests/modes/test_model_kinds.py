"""Models that are not a plain chain of layers, and steps and losses of their own."""

import keras
import numpy as np
import tensorflow as tf

import keras_activations as ka
from tests.modes.runs import BATCH, EAGERLY, batches, classifier, digits, fit, watch
from tests.modes.twin import (
    assert_describes,
    assert_describes_steps,
    by_name,
    forward,
)

PENALTY = 0.5


def steps_of(watched, *arrays):
    """Weights before each step, and its batch."""
    return list(zip(watched.before, batches(*arrays), strict=True))


class OwnStep(keras.Model):
    """A model that writes out its training step, without `scale_loss`."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        tracker, accuracy = self.metrics
        tracker.update_state(loss)
        accuracy.update_state(y, y_pred)
        return {"loss": tracker.result(), **accuracy.result()}


class Penalty(keras.layers.Layer):
    """Adds a loss and hands on the very tensor it is given."""

    def call(self, x):
        self.add_loss(PENALTY * keras.ops.mean(keras.ops.square(x)))
        return x


def test_a_step_of_its_own_and_an_added_loss():
    def build():
        plain = classifier()
        return OwnStep(plain.input, Penalty(name="penalty")(plain.output))

    watched = watch(lambda monitor: fit(build, monitor))
    assert len(watched.windows) == 12
    steps = steps_of(watched, *digits())
    for window, step in zip(watched.windows, steps, strict=True):
        assert_describes_steps(window, [step], penalty=PENALTY)


class Accumulating(keras.Model):
    """Sums gradients by hand and applies them in a branch, where they are large."""

    def __init__(self, *ends):
        super().__init__(*ends)
        self.sums = [tf.Variable(tf.zeros(v.shape)) for v in self.trainable_weights]

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        gradients = tape.gradient(loss, self.trainable_weights)
        for total, gradient in zip(self.sums, gradients, strict=True):
            total.assign_add(gradient)
        large = tf.math.abs(tf.reduce_sum(self.sums[0])) > 0.05
        tf.cond(large, self._apply, lambda: self.optimizer.iterations + 0)
        tracker, accuracy = self.metrics
        tracker.update_state(loss)
        accuracy.update_state(y, y_pred)
        return {"loss": tracker.result(), **accuracy.result()}

    def _apply(self):
        sums = [total.value() for total in self.sums]
        self.optimizer.apply_gradients(zip(sums, self.trainable_weights, strict=True))
        for total in self.sums:
            total.assign(tf.zeros_like(total))
        return self.optimizer.iterations + 0


def test_gradients_applied_in_a_branch(jit):
    def build():
        plain = classifier()
        return Accumulating(plain.input, plain.output)

    watched = watch(lambda monitor: fit(build, monitor, compile={"jit_compile": jit}))
    steps = steps_of(watched, *digits())
    for window, (weights, (x, _)) in zip(watched.windows, steps, strict=True):
        assert_describes(
            by_name(window.layers)["hidden"], forward(weights, x)["hidden"]
        )
        assert not any(stats.gradient_norm for stats in window.layers.values())


def test_class_weights():
    x, y = digits()
    by_class = np.linspace(0.1, 3, 10)
    options = {"class_weight": dict(enumerate(by_class.tolist())), "compile": EAGERLY}
    watched = watch(lambda monitor: fit(classifier, monitor, **options))
    steps = steps_of(watched, x, y, by_class[y])
    for window, step in zip(watched.windows, steps, strict=True):
        assert_describes_steps(window, [step])


def test_nested_three_deep_around_a_frozen_layer():
    """The same chain as `classifier`, each layer one level further out."""

    def build():
        plain = classifier()
        hidden, rectified, head = plain.layers[1:]
        hidden.trainable = False
        inputs = [keras.Input((64,)) for _ in range(3)]
        inner = keras.Model(inputs[0], hidden(inputs[0]), name="inner")
        middle = keras.Sequential([inputs[1], inner, rectified], name="middle")
        return keras.Model(inputs[2], head(middle(inputs[2])), name="outer")

    rules = [ka.rules.VanishingGradient(patience=1)]
    watched = watch(lambda monitor: fit(build, monitor), rules=rules)
    steps = steps_of(watched, *digits())
    for window, step in zip(watched.windows, steps, strict=True):
        assert_describes_steps(window, [step])
    last = by_name(watched.monitor.stats)
    assert set(last) >= {"hidden", "rectified", "head"}
    assert last["hidden"].gradient_norm is None
    assert last["hidden"].weights == ()
    assert last["rectified"].gradient_norm > 0
    assert last["head"].gradient_norm > 0
    assert watched.monitor.findings == []


def test_two_inputs_two_outputs_and_a_layer_used_twice():
    x, y = digits()
    left, right = x[:, :32], x[:, 32:]
    targets = {"even": (y % 2 == 0).astype("float32"), "label": y.astype("float32")}
    weights = {name: np.linspace(0, 1, len(y), dtype="float32") for name in targets}

    def build():
        sides = [keras.Input((32,)), keras.Input((32,))]
        encoder = keras.layers.Dense(6, "tanh", name="encoder")
        both = keras.layers.Concatenate()([encoder(side) for side in sides])
        even = keras.layers.Dense(1, "sigmoid", name="even")(both)
        label = keras.layers.Dense(1, "softplus", name="label")(both)
        return keras.Model(sides, {"even": even, "label": label})

    watched = watch(
        lambda monitor: fit(
            build,
            monitor,
            x=[left, right],
            y=targets,
            sample_weight=weights,
            batch_size=BATCH,
            compile={
                "loss": {"even": "binary_crossentropy", "label": "mse"},
                "loss_weights": {"even": 1.0, "label": 0.01},
                "metrics": None,
                **EAGERLY,
                "weighted_metrics": {"label": ["mae"]},
            },
        )
    )
    for weights, (one, other), window in zip(
        watched.before, batches(left, right), watched.windows, strict=True
    ):
        kernel, bias, even, even_bias, label, label_bias = map(np.float64, weights)
        encoded = [np.tanh(side @ kernel + bias) for side in (one, other)]
        both = np.concatenate(encoded, axis=1)
        assert window.layers["encoder"].count == 2 * BATCH * 6
        assert_describes(window.layers["encoder"], np.concatenate(encoded))
        sigmoid = 1 / (1 + np.exp(-(both @ even + even_bias)))
        assert_describes(window.layers["even"], sigmoid)
        softplus = np.log1p(np.exp(both @ label + label_bias))
        assert_describes(window.layers["label"], softplus)
        outputs = {path for path, stats in window.layers.items() if stats.is_output}
        assert outputs == {"even", "label"}
        assert window.layers["encoder"].gradient_norm > 0
