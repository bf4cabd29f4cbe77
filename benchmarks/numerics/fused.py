"""GELU inside a `Dense`, where TensorFlow on a CPU fuses Keras's into the product."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.numerics.measuring import KERAS, OURS
from benchmarks.numerics.references import reference

HEAD = """\

### Inside a `Dense(1024)`, float32, XLA off

Forward only, as in `predict`. On a CPU TensorFlow fuses Keras's `gelu` into the matrix product,
with another formula. Largest relative error of the value, by what enters the activation.

| from | to | `stable_gelu` | `gelu` |
|---|---|---|---|
"""
EDGES = (-12.5, -8, -5, -3, -1, 12)
UNITS, WIDTH = 1024, 64  # a smaller product is not fused


def section(number):
    """The section as Markdown, from so many values entering the activation."""
    x = np.linspace(EDGES[0], EDGES[-1], number).astype("float32")
    off = [relative_errors(functions["gelu"], x) for functions in (OURS, KERAS)]
    lines = []
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        here = (x >= low) & (x < high)
        cells = [f"{low:g}", f"{high:g}", *(f"{np.max(e[here]):.1e}" for e in off)]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(lines)


def relative_errors(function, x):
    """How far a `Dense` with this GELU is off where `x` enters it, float64 array."""
    layer = keras.layers.Dense(UNITS, activation=function)
    layer.build((None, WIDTH))
    # All units see the first of the inputs, the others are 0.
    layer.kernel.assign(np.eye(WIDTH)[:, :1] * np.ones(UNITS))
    inputs = np.pad(x[:, None], [(0, 0), (0, WIDTH - 1)])
    run = tf.function(layer, autograph=False)
    y = run(tf.constant(inputs)).numpy()[:, 0].astype("float64")
    true, _ = reference("gelu", x.astype("float64"), exact=False)
    return np.abs(y - true) / np.abs(true)
