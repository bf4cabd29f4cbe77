"""A chain of layers that NaN or Inf can be injected into, forward and backward."""

import keras
import numpy as np
from keras import ops

DEPTH = 3
BATCH, STEPS, BAD_STEP = 8, 5, 3


class Poison(keras.layers.Layer):
    """Passes its input on, and poisons examples whose flag is set."""

    def __init__(self, value, backward, **kwargs):
        super().__init__(**kwargs)
        self.value = value
        self.backward = backward

    def call(self, x, flag):
        poison = ops.where(flag > 0, self.value, 0.0)
        if not self.backward:
            return x + poison

        @ops.custom_gradient
        def poisoned_gradient(x):
            return x * 1.0, lambda upstream: upstream + poison

        return poisoned_gradient(x)


def chain(depth=None, value=np.nan, backward=False):
    """Dense layers, the one of the given depth followed by a poisoned one."""
    keras.utils.set_random_seed(2)
    inputs, flag = keras.Input((4,)), keras.Input((1,))
    x = inputs
    for level in range(DEPTH):
        x = keras.layers.Dense(6, "tanh", name=f"dense_{level}")(x)
        if level == depth:
            x = Poison(value, backward, name="poison")(x, flag)
    outputs = keras.layers.Dense(1, name="head")(x)
    return keras.Model([inputs, flag], outputs)


def batches():
    """Data with two flagged examples in the bad step."""
    x = np.random.default_rng(1).normal(size=(BATCH * STEPS, 4)).astype("float32")
    flag = np.zeros((BATCH * STEPS, 1), "float32")
    flag[BATCH * (BAD_STEP - 1) : BATCH * (BAD_STEP - 1) + 2] = 1
    return [x, flag], x[:, :1]


def fit(model, monitor=None, jit=False, optimizer="adam", data=None, **options):
    model.compile(optimizer, "mse", jit_compile=jit, **options)
    x, y = data or batches()
    options = {"batch_size": BATCH, "verbose": 0, "shuffle": False}
    callbacks = [monitor] if monitor else []
    return model.fit(x, y, callbacks=callbacks, **options)
