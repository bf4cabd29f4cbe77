"""The ways of watching a training that are compared."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import keras_activations as ka
from keras_activations.telemetry.selection import selector
from keras_activations.telemetry.taps import all_layers


@dataclasses.dataclass(frozen=True)
class Way:
    """A way of watching.

    Attributes:
        text: what it is, in Markdown.
        watch: callable `(model, dataset, folder)` that gives a list of callbacks, and
            may change the model, which is compiled and not yet traced.
        steady: all steps cost the same, so that a shorter round tells as much. False
            where only some steps, or the end of an epoch, have more to do.
        traces_as: key of the way that traces the very same step; None if it is its own.
        compiles: under XLA.
    """

    text: str
    watch: Callable
    steady: bool = False
    traces_as: str | None = None
    compiles: bool = True


def nothing(model, dataset, folder):
    return []


def monitor(**options):
    def watch(model, dataset, folder):
        return [ka.ActivationMonitor(folder, verbose=0, **options)]

    return watch


def keras_own(model, dataset, folder):
    # Without the graph, which it would write during the first step.
    return [
        keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False),
        keras.callbacks.TerminateOnNaN(),
    ]


def check_numerics(model, dataset, folder):
    # It holds for the whole process: on only while its own model trains.
    return [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: tf.debugging.enable_check_numerics(),
            on_epoch_end=lambda *_: tf.debugging.disable_check_numerics(),
        )
    ]


def summary_histograms(model, dataset, folder):
    """`tf.summary.histogram` in the layers whose outputs the monitor samples."""
    sampled = selector("auto")
    for layer in all_layers(model):
        if sampled(layer):
            layer.call = _summarised(layer)
    writer = tf.summary.create_file_writer(folder)
    step = model.optimizer.iterations.value
    return [
        keras.callbacks.LambdaCallback(
            on_train_begin=lambda *_: writer.set_as_default(step),
            on_train_end=lambda *_: writer.close(),
        )
    ]


def _summarised(layer):
    call = layer.call

    def call_and_write(*args, **kwargs):
        outputs = call(*args, **kwargs)
        tf.summary.histogram(layer.path, outputs)
        return outputs

    return call_and_write


class SecondPass(keras.callbacks.Callback):
    """Looks at the gradients of one batch after each epoch, as AutoTrainer does.

    Zhang et al., "AutoTrainer: An Automatic DNN Training Problem Detection and Repair
    System", ICSE 2021.

    Args:
        batch: `(x, y)`.
    """

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_begin(self, logs=None):
        xla = self.model.jit_compile
        self.gradients = tf.function(self._gradients, jit_compile=xla)

    def on_epoch_end(self, epoch, logs=None):
        gradients = [g.numpy() for g in self.gradients(*self.batch)]
        self.sizes = [np.abs(g).mean() for g in gradients]  # vanishing, exploding
        self.zeros = [np.mean(g == 0) for g in gradients]  # dying

    def _gradients(self, x, y):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            # Not in training: it must leave moving averages alone.
            loss = self.model.compute_loss(x, y, self.model(x, training=False))
        return tape.gradient(loss, variables)


def second_pass(model, dataset, folder):
    return [SecondPass(next(iter(dataset)))]


WAYS = {
    "bare": Way("bare", nothing),
    "monitor": Way("**monitor** (default, `every=50`)", monitor()),
    "every": Way(
        "**monitor**, `every=1`", monitor(every=1), steady=True, traces_as="monitor"
    ),
    "keras": Way(
        "Keras `TensorBoard(histogram_freq=1)` + `TerminateOnNaN`",
        keras_own,
        traces_as="bare",
    ),
    "check": Way(
        "`tf.debugging.enable_check_numerics`",
        check_numerics,
        steady=True,
        compiles=False,
    ),
    "histogram": Way(
        "`tf.summary.histogram` in each layer",
        summary_histograms,
        steady=True,
        compiles=False,
    ),
    "second": Way("second pass on one batch an epoch", second_pass, traces_as="bare"),
}
