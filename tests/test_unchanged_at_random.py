"""Networks drawn at random end with the same bits, watched or not.

`RANDOM_NETWORKS=200 pytest tests/test_unchanged_at_random.py` tries so many.
"""

import os

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.random_networks import random_network

NUMBER = int(os.environ.get("RANDOM_NETWORKS", "4"))
SEEDS = [(seed, False) for seed in range(NUMBER)]
# Two of them told of XLA's loops.
UNDER_XLA = range(4, 4 + NUMBER) if "RANDOM_NETWORKS" in os.environ else (4, 7)
SEEDS += [(seed, True) for seed in UNDER_XLA]


def trained(seed, jit, callbacks):
    keras.utils.set_random_seed(seed)
    model, optimizer = random_network(seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit)
    random = np.random.default_rng(seed)
    x = random.normal(size=(40, *model.input_shape[1:])).astype("float32")
    y = random.integers(0, 10, 40)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    return [v.numpy() for v in model.variables + model.optimizer.variables]


@pytest.mark.parametrize(("seed", "jit"), SEEDS)
def test_bit_identical(seed, jit):
    monitor = ka.ActivationMonitor(
        every=2, layers="all", on_nonfinite="warn", verbose=0
    )
    plain, watched = trained(seed, jit, []), trained(seed, jit, [monitor])
    for one, other in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(one, other)
