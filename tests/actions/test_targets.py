"""Updates made as though the targets had mean 0 and deviation 1."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import SGD, Adam

import keras_activations as ka
from keras_activations.actions.bounds import Bounds
from keras_activations.actions.preconditioning import Preconditioner
from keras_activations.actions.targets import OtherTargets, standardised_targets
from keras_activations.health.finding import RULES
from tests.actions.steps import step

RNG = np.random.default_rng(3)
X = RNG.normal(size=(64, 5)).astype("f4")
SCALED = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1).astype("f4")
SCALED = (SCALED - SCALED.mean(axis=0)) / SCALED.std()
SCALED /= SCALED.std(axis=0).max()
DEVIATION, MEAN = 300.0, np.array([2000.0, -50.0], "f4")
RAW = SCALED * DEVIATION + MEAN


def built(loss="mse", head=None):
    keras.utils.set_random_seed(4)
    head = head or layers.Dense(2)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, "tanh"), head])
    model.compile("sgd", loss)
    return model


def quantile(y, p):
    return keras.ops.mean(keras.ops.maximum(0.9 * (y - p), 0.1 * (p - y)))


@pytest.mark.parametrize("inputs_as_well", [False, True])
@pytest.mark.parametrize(
    ("kind", "loss", "of_scaled"),
    [
        *((SGD, loss, loss) for loss in ("mse", "mae", quantile)),
        *((Adam, loss, loss) for loss in ("mse", "mae", quantile)),
        (SGD, "huber", "mae"),  # but for errors below 1
    ],
)
def test_learns_as_of_scaled_targets(kind, loss, of_scaled, inputs_as_well):
    twin, model = built(of_scaled), built(loss)
    head = model.layers[-1]
    head.kernel.assign(head.kernel * DEVIATION)
    head.bias.assign(MEAN)
    optimizers = [kind(0.05), kind(0.05)]
    parts = [Preconditioner(), Preconditioner()]
    for part, each, optimizer in zip(parts, (twin, model), optimizers, strict=True):
        optimizer.build(each.trainable_variables)
        if inputs_as_well:
            part.add(each, X, optimizer)
    parts[1].targets = (targets,) = standardised_targets(model, X, RAW)
    assert targets.deviation == pytest.approx(DEVIATION, rel=1e-3)
    bounds = Bounds(model)
    bounds.scale_gradient(targets.layer, targets.loss_factor)

    for _ in range(10):
        step(twin, optimizers[0], keras.losses.get(of_scaled), X, SCALED, parts[0])
        with bounds.in_place():
            step(model, optimizers[1], keras.losses.get(loss), X, RAW, parts[1])

    expected = twin(X) * DEVIATION + MEAN
    np.testing.assert_allclose(model(X), expected, rtol=1e-2, atol=1e-2 * DEVIATION)
    units = parts[0].units_of(twin.layers[-1].kernel), parts[1].units_of(head.kernel)
    expected = 1.0 if units[0] is None else units[0]
    np.testing.assert_allclose(units[1] * DEVIATION, expected, rtol=0.2)


def test_learning_begins_where_it_would_of_scaled_targets():
    model = built()
    (targets,), before = standardised_targets(model, X, RAW), np.std(model(X))
    for _ in range(2):  # what has the targets' size is only moved
        targets.begin(lambda: model(X))
        outputs = np.asarray(model(X))
        np.testing.assert_allclose(outputs.mean(axis=0), RAW.mean(axis=0), rtol=1e-3)
        spread = np.std(outputs - outputs.mean(axis=0))
        assert 0.5 < spread / (before * DEVIATION) < 1.5


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (lambda: built("poisson"), RAW),
        (lambda: built(None), RAW),
        (lambda: built(["mse", "mse"]), RAW),
        (lambda: built(lambda y, p: keras.ops.mean(p - y)), RAW),
        (lambda: built(lambda y, p: undefined), RAW),  # noqa: F821
        (lambda: built(head=layers.Dense(2, dtype="mixed_float16")), RAW),
        (lambda: built(head=layers.Dense(2, "relu")), RAW),
        (lambda: built(head=layers.Dense(2, use_bias=False)), RAW),
        (lambda: built(head=layers.Dense(2, kernel_regularizer="l2")), RAW),
        (lambda: built(head=layers.Dense(2, kernel_constraint="max_norm")), RAW),
        (built, np.full_like(RAW, 7.0)),
        (built, np.full_like(RAW, np.nan)),
        (built, None),
        (built, np.array([["a", "b"]] * 64)),
        (built, RAW[:31, 0]),  # Keras compares one with both outputs
    ],
)
def test_refused(model, y):
    with pytest.raises(OtherTargets):
        standardised_targets(model(), X, y)


def test_a_batch_that_the_model_does_not_take():
    with pytest.raises(OtherTargets, match="cannot be called on a batch"):
        standardised_targets(built(), X[:, :3], RAW)


@pytest.mark.parametrize("jit", [False, True])
def test_rescue(jit):
    actions = {f"on_{rule}": "rescue" for rule in RULES}
    monitor = ka.ActivationMonitor(every=5, verbose=0, **actions)
    errors = []
    for y, callbacks in ((SCALED, []), (RAW, [monitor])):
        model = built()
        model.compile(SGD(0.1), "mse", jit_compile=jit)
        model.fit(X, y, batch_size=16, epochs=40, verbose=0, callbacks=callbacks)
        errors.append(np.square(model(X) - y).mean() / y.var(axis=0).mean())
    (done,) = [f for f in monitor.findings if "rescue, try" in f.message]
    assert "as though the targets had mean 0 and deviation 1" in done.message
    assert errors[1] < 1.3 * errors[0]


@pytest.mark.parametrize(
    ("unit", "cause"), [(1.0, "unscaled_inputs"), (1e-3, "unscaled_targets")]
)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_rescue_where_the_inputs_are_not_scaled_either(kind, unit, cause):
    actions = {f"on_{rule}": "rescue" for rule in RULES}
    monitor = ka.ActivationMonitor(every=5, verbose=0, **actions)
    raw = unit * (X * [1e2, 1e3, 5.0, 1e4, 3.0] + [30.0, 2e3, 0.0, 1e4, 5.0])
    errors = []
    for x, y, callbacks in ((X, SCALED, []), (raw, RAW, [monitor])):
        keras.utils.set_random_seed(4)
        hidden = [layers.Dense(16, "relu") for _ in range(2)]
        model = keras.Sequential([keras.Input((5,)), *hidden, layers.Dense(2)])
        model.compile(kind(0.01), "mse")
        model.fit(x, y, batch_size=16, epochs=40, verbose=0, callbacks=callbacks)
        errors.append(np.square(model(x) - y).mean() / y.var(axis=0).mean())
    found, done = monitor.findings
    assert found.cause == cause
    assert "neither the inputs nor the targets are scaled" in found.message
    assert "rewrote the layers that see the data" in done.message
    assert "targets had mean 0 and deviation 1" in done.message
    assert errors[1] < 1.3 * errors[0] + 0.05  # found late, it learns for less long


def two_outputs(losses):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((5,))
    hidden = layers.Dense(8, "tanh")(inputs)
    outputs = {
        "price": layers.Dense(2, name="price")(hidden),
        "kind": layers.Dense(3, "softmax", name="kind")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile(SGD(0.1), losses)
    return model


LOSSES = {"price": "mse", "kind": "sparse_categorical_crossentropy"}
KINDS = RNG.integers(0, 3, len(X))


def test_of_two_outputs_the_raw_one_is_scaled():
    model = two_outputs(LOSSES)
    (found,) = standardised_targets(model, X, {"price": RAW, "kind": KINDS})
    assert (found.layer.name, found.degree) == ("price", 2)
    with pytest.raises(OtherTargets, match="large size"):
        standardised_targets(model, X, {"price": SCALED, "kind": KINDS})
    with pytest.raises(OtherTargets, match="one array of targets for each"):
        standardised_targets(model, X, {"price": RAW})


def test_rescue_of_two_outputs():
    actions = {f"on_{rule}": "rescue" for rule in RULES}
    monitor = ka.ActivationMonitor(every=5, verbose=0, **actions)
    errors, right = [], []
    kinds = (X[:, 0] > 0).astype("i4") + (X[:, 1] > 0)
    for price, callbacks in ((SCALED, []), (RAW, [monitor])):
        model, targets = two_outputs(LOSSES), {"price": price, "kind": kinds}
        model.fit(X, targets, batch_size=16, epochs=60, verbose=0, callbacks=callbacks)
        outputs = {name: np.asarray(value) for name, value in model(X).items()}
        error = np.square(outputs["price"] - price).mean() / price.var(axis=0).mean()
        errors.append(error)
        right.append(np.mean(outputs["kind"].argmax(axis=-1) == kinds))
    assert any("as though the targets had" in f.message for f in monitor.findings)
    assert errors[1] < 1.3 * errors[0]
    assert right[1] > right[0] - 0.1
