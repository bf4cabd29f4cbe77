"""What is timed: the functions by themselves and inside a model, ours and Keras's."""

import keras
import tensorflow as tf

from benchmarks.numerics.measuring import KERAS, OURS

ELEMENTS = 2**22
PLACES = ("alone", "dense", "conv")


def runner(function, place, dtype, xla, backward):
    """A compiled function without arguments that computes a value, or its gradients too.

    Args:
        function: callable of a tensor.
        place: "alone", on 4 million elements; "dense" or "conv", as the activation of a
            layer that gives as many.
        dtype: str, of all there is.
        xla: bool.
        backward: bool.

    Returns:
        A callable that gives a tensor.
    """
    make = {"alone": _alone, "dense": _dense, "conv": _conv}[place]
    x, weights, apply = make(function, dtype)
    upstream = tf.constant(1.0, dtype)

    @tf.function(jit_compile=xla, autograph=False)
    def run(x):
        if not backward:
            return apply(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = apply(x)
        return tape.gradient(y, [x, *weights], output_gradients=upstream * y)[0]

    return lambda: run(x)


def pair(name):
    """Ours and Keras's function of a name."""
    return {"ours": OURS[name], "keras": KERAS[name]}


def _input(shape, dtype):
    return tf.cast(tf.random.stateless_normal(shape, [0, 1], stddev=3.0), dtype)


def _alone(function, dtype):
    return _input((ELEMENTS,), dtype), [], function


def _dense(function, dtype):
    # A CPU multiplies halves so slowly that with more of them nothing else was timed.
    x = _input((ELEMENTS // 1024, 64 if dtype == "float32" else 4), dtype)
    layer = keras.layers.Dense(1024, activation=function, dtype=dtype)
    layer.build(x.shape)
    return x, [w.value for w in layer.trainable_weights], layer


def _conv(function, dtype):
    x = _input((32, 64, 64, 3), dtype)
    layer = keras.layers.Conv2D(32, 3, padding="same", activation=function, dtype=dtype)
    layer.build(x.shape)
    return x, [w.value for w in layer.trainable_weights], layer
