"""One more pass over the first batch, as the peers make it."""

import contextlib

import numpy as np
import tensorflow as tf


class Look:
    """A pass forward and backward over the first batch, shared by the peers.

    It runs in inference mode: in training mode it would move the statistics of
    normalisations and draw from the generators of dropouts, and the training would
    not be the same any more.

    Args:
        training: a `Training`.
        names: names of the activation functions whose inputs are wanted.
    """

    def __init__(self, training, names):
        self._model, self._data = training.model, training.data
        self._names = names
        self._labels = []  # (layer, function) of the inputs, from the one tracing
        self._traced = tf.function(self._pass)
        self._scores = tf.function(lambda x: self._model(x, training=False))
        first = slice(training.batch)
        self._x = tf.convert_to_tensor(self._data.x[first])
        self._y = tf.convert_to_tensor(self._data.y[first])
        self._step, self._seen = None, None

    def at(self, step):
        """What is seen after a step, looked at once for all peers.

        Returns:
            gradients of the trainable weights, a list of arrays (zeros where none
            arrives), and a list of `(layer, function, its inputs)`.
        """
        if self._step != step:
            gradients, inputs = self._traced(self._x, self._y)
            labelled = zip(self._labels, map(_array, inputs), strict=True)
            self._seen = (
                [_array(gradient) for gradient in gradients],
                [(*label, values) for label, values in labelled],
            )
            self._step = step
        return self._seen

    def accuracy(self):
        """The accuracy on the validation data."""
        scores = _array(self._scores(self._data.x_val))
        if scores.shape[-1] == 1:
            return float(np.mean((scores[:, 0] > 0.5) == self._data.y_val))
        return float(np.mean(scores.argmax(axis=-1) == self._data.y_val))

    def _pass(self, x, y):
        model = self._model
        with _noted(model, self._names) as noted, tf.GradientTape() as tape:
            output = model(x, training=False)
            loss = model.compute_loss(x, y, output, training=False)
        self._labels = [(layer, function) for layer, function, _ in noted]
        weights = [weight.value for weight in model.trainable_weights]
        none = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, weights, unconnected_gradients=none)
        return gradients, [values for _, _, values in noted]


def _array(tensor):
    return np.asarray(tf.convert_to_tensor(tensor), "float32")


@contextlib.contextmanager
def _noted(model, names):
    """Notes what activation functions inside layers are given, while it is open."""
    noted, changed = [], []
    for layer in model._flatten_layers(include_self=False, recursive=True):
        function = getattr(layer, "activation", None)
        name = getattr(function, "__name__", None)
        # Those of recurrent cells run inside a loop, out of which no tensor gets.
        if name in names and not hasattr(layer, "recurrent_activation"):
            if hasattr(layer, "state_size"):
                continue
            changed.append((layer, function))
            layer.activation = _noting(noted, layer.name, name, function)
    try:
        yield noted
    finally:
        for layer, function in changed:
            layer.activation = function


def _noting(noted, layer, name, function):
    def noting(x):
        noted.append((layer, name, x))
        return function(x)

    return noting
