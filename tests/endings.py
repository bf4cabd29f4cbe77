"""The ways in which training ends."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_activations as ka
from tests.leftovers import Trouble, X, Y, fit


class Bang(Exception):
    pass


class Callback(keras.callbacks.Callback):
    """Raises an exception at one hook."""

    def __init__(self, hook, exception):
        super().__init__()

        def fail(*args, **kwargs):
            raise exception

        setattr(self, hook, fail)


class SwitchOn(keras.callbacks.Callback):
    """Makes the loss fail from the start of training on, so while it is traced."""

    def __init__(self, exception):
        super().__init__()
        self.exception = exception

    def on_train_begin(self, logs=None):
        Trouble.exception = self.exception


def ends_normally(model, monitor):
    fit(model, monitor)


def ends_by_a_finding(model, monitor):
    monitor = ka.ActivationMonitor(verbose=0, on_nonfinite="raise")
    with pytest.raises(ka.FindingError):
        fit(model, monitor, x=np.full_like(X, math.nan))


def ends_in_the_graph(model, monitor):
    y = Y.copy()
    y[9] = 1000.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="a thousand"):
        fit(model, monitor, y=y)


def ends_in_the_data(model, monitor):
    def batches():
        yield X[:4], Y[:4]
        raise Bang

    data = tf.data.Dataset.from_generator(
        batches,
        output_signature=(tf.TensorSpec((4, 4)), tf.TensorSpec((4, 1))),
    )
    with pytest.raises(tf.errors.OpError, match="Bang"):
        model.fit(data, verbose=0, shuffle=False, callbacks=[monitor])


def ends_while_tracing(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, SwitchOn(Bang()))
    Trouble.exception = None


def ends_in_a_callback(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, Callback("on_train_batch_end", Bang()))


def ends_in_a_callback_before_the_first_step(model, monitor):
    with pytest.raises(Bang):
        fit(model, monitor, Callback("on_epoch_begin", Bang()))


def ends_in_validation(model, monitor):
    with pytest.raises(tf.errors.InvalidArgumentError, match="a thousand"):
        fit(model, monitor, validation_data=(X, np.full_like(Y, 1000)))


def ends_by_the_keyboard(model, monitor):
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Callback("on_train_batch_end", KeyboardInterrupt()))


def ends_by_the_keyboard_in_the_step(model, monitor):
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, SwitchOn(KeyboardInterrupt()))
    Trouble.exception = None


WITH_THE_STEP = [
    ends_normally,
    ends_by_a_finding,
    ends_in_the_graph,
    ends_in_the_data,
    ends_while_tracing,
    ends_by_the_keyboard_in_the_step,
]
ELSEWHERE = [
    ends_in_a_callback,
    ends_in_a_callback_before_the_first_step,
    ends_in_validation,
    ends_by_the_keyboard,
]
