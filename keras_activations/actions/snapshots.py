"""Snapshots: the last healthy weights, kept to go back to."""

import tensorflow as tf

from keras_activations.actions.learning_rate import rate_of
from keras_activations.actions.slots import forget, inner_optimizer

# Healthy windows from one snapshot to the next. A rule is patient for some windows, so
# that the last snapshot may carry the illness already; the one before it does not.
SPACING = 4


class Snapshots:
    """Two generations of a model's weights and its optimizer's slots.

    They need twice the memory of both, on the device of the weights; what the run began
    with is kept as well until it has learnt something. Not kept are the number of
    updates, the learning rate and the state of random generators, which go on.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer, or None.
    """

    def __init__(self, model, optimizer):
        self._model = model
        self._optimizer = optimizer
        self._first, self._last, self._before = None, None, None
        self._windows = 0

    def take(self, step, learnt=True):
        """After a healthy window that ended with this step; mostly does nothing.

        Args:
            learnt: bool, there is something to lose in going back to the start.
        """
        if learnt:
            self._first = None
        if self._last is None or self._windows + 1 >= SPACING:
            self._before, self._last = self._last, self._taken(step)
            self._windows = 0
        else:
            self._windows += 1

    def take_before_raise(self, step, rate):
        """Between a healthy step and one whose learning rate was raised far above this."""
        self._before, self._last = self._last, (step, _read(self._variables()), rate)
        self._windows = 0

    def begin_anew(self, step):
        """At the start, or after weights were treated: what was kept before is ill."""
        self._before, self._last = None, self._taken(step)
        self._first = self._last
        self._windows = 0

    def complete(self):
        """Adds to the start what did not exist then.

        Keras creates the weights of a subclassed model in its first step. To be called
        while that is traced, or run eagerly, before its update.
        """
        if self._first is None:
            return
        _, values, _ = self._first
        known = {id(variable) for variable, _ in values}
        new = [v for v in self._model.weights if id(v) not in known]
        with tf.init_scope():
            # TensorFlow traces twice what creates variables, and gives them their values
            # in between.
            values += _read([v for v in new if v.value.is_initialized()])

    def restore(self, older=False):
        """Goes back to the last snapshot, or to an older one: the start if that is kept.

        Returns:
            int: the step that it was taken after, None if there is no snapshot.
        """
        kept = self._kept(older)
        if kept is None:
            return None
        step, values, _ = kept
        if len(values) < len(self._variables()):  # taken before there were slots
            forget(self._optimizer, self._model.trainable_variables)
        for variable, value in values:
            variable.assign(value)
        # What came after it is not trusted any more.
        self._last, self._before = kept, None
        self._windows = 0
        return step

    def rate(self, older=False):
        """The learning rate of then, of what `restore` goes back to; None if unknown."""
        kept = self._kept(older)
        return None if kept is None else kept[2]

    @property
    def step(self):
        """The step that the last one was taken after."""
        return 0 if self._last is None else self._last[0]

    def _kept(self, older):
        return ((self._first or self._before) if older else None) or self._last

    def _taken(self, step):
        return step, _read(self._variables()), rate_of(self._optimizer)

    def _variables(self):
        variables = list(self._model.weights)
        if self._optimizer is not None:
            inner = inner_optimizer(self._optimizer)
            rate = getattr(inner, "_learning_rate", None)
            going_on = {id(inner._iterations), id(rate)}
            variables += [v for v in inner.variables if id(v) not in going_on]
        return variables


def looks_healthy(window):
    """Whether no hidden layer is on its way to a finding."""
    return not any(_ailing(stats) for stats in window.layers.values())


def _ailing(stats):
    if stats.is_output:
        return False
    dead = (stats.dead_units or 0) / (stats.units or 1)
    return (stats.saturation or 0.0) > 0.5 or dead > 0.5


def _read(variables):
    return [(v, tf.identity(tf.convert_to_tensor(v.value))) for v in variables]
