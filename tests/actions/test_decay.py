"""Weight decay and penalties that shrink every weight, limited while a run goes on."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers, regularizers

from keras_activations.actions.decay import GREATEST_DECAY, DecayLimit
from tests import ill


def penalised():
    l2, both = regularizers.L2(1.0), regularizers.L1L2(l1=0.5, l2=1e-6)
    hidden = [
        layers.Dense(4, "tanh", kernel_regularizer=l2),
        layers.Dense(4, "tanh", kernel_regularizer=both),
        layers.Dense(4, "tanh", kernel_regularizer=regularizers.L1(0.3)),
    ]
    return keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(1)])


def test_only_while_it_is_in_place_and_once_it_is_limited():
    model, optimizer = penalised(), optimizers.AdamW(weight_decay=5.0)
    before = [float(loss) for loss in model.losses]
    limit = DecayLimit(model, optimizer)
    with limit.in_place():
        assert [float(loss) for loss in model.losses] == before
    assert limit.limit() == [
        "L1 penalties to 1e-05",
        "L2 penalties to 0.0001",
        "the weight decay to 0.004",
    ]
    with limit.in_place():
        limited = [float(loss) for loss in model.losses]
        assert optimizer.weight_decay == GREATEST_DECAY
    assert all(now < 0.01 * then for now, then in zip(limited, before, strict=True))
    assert [float(loss) for loss in model.losses] == before
    assert optimizer.weight_decay == 5.0


@pytest.mark.parametrize("optimizer", [optimizers.AdamW(), optimizers.Adam()])
def test_usual_ones_are_left(optimizer):
    assert DecayLimit(ill.compiled(ill.healthy), optimizer).limit() == []


def test_penalties_of_the_users_own_are_left():
    class Own(regularizers.Regularizer):
        def __init__(self):
            self.l2 = "strong"

        def __call__(self, x):
            return keras.ops.sum(keras.ops.abs(x))

    hidden = [
        layers.Dense(4, kernel_regularizer=own) for own in (Own(), keras.ops.mean)
    ]
    model = keras.Sequential([keras.Input((3,)), *hidden])
    assert DecayLimit(model, optimizers.SGD()).limit() == []


@pytest.mark.parametrize("jit", [False, True])
def test_rescue(jit):
    monitor = ill.treating("rescue")
    optimizer = optimizers.AdamW(4e-3, weight_decay=50.0)
    model = ill.compiled(_deep, optimizer, jit_compile=jit)
    ill.fit(model, monitor, epochs=16)
    (done, *_) = [f for f in monitor.findings if "rescue, try" in f.message]
    assert (done.rule, done.cause) == ("vanishing_gradient", "weight_decay")
    assert "limits the weight decay to 0.004 for this fit" in done.message
    assert optimizer.weight_decay == 50.0  # what the user set
    x, y = ill.digits(ill.ROWS // 8)
    assert np.mean(model(x).numpy().argmax(axis=-1) == y) > 0.85  # untreated 0.1


def _deep():
    return [layers.Dense(64, "tanh") for _ in range(3)]
