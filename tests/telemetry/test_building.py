"""What is built before the first step: the very variables that it would build."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_activations as ka
from tests.modes.runs import digits

X, LABELS = digits(4)
HOT = np.eye(10, dtype="float32")[LABELS]


class Counted(layers.Layer):
    """Counts how often it is called, which is how often a step is traced."""

    calls = 0

    def call(self, x):
        Counted.calls += 1
        return x


def sequential():
    stack = [Counted(), layers.Dense(8, "relu"), layers.Dense(10, "softmax")]
    return keras.Sequential([keras.Input((64,)), *stack])


def unbuilt():
    return keras.Sequential([layers.Dense(8, "relu"), layers.Dense(10, "softmax")])


def two_headed():
    inputs = keras.Input((64,))
    x = Counted()(inputs)
    heads = [layers.Dense(10, "softmax", name=name)(x) for name in ("left", "right")]
    return keras.Model(inputs, dict(zip(("left", "right"), heads, strict=True)))


ACCURACY = {"optimizer": "adam", "metrics": ["accuracy"]}
SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"
CASES = {
    "sparse": (sequential, LABELS, ACCURACY | {"loss": SPARSE}),
    "one-hot": (sequential, HOT, ACCURACY | {"loss": DENSE}),
    "no metrics": (sequential, HOT, {"optimizer": "sgd", "loss": "mse"}),
    "weighted": (
        sequential,
        HOT,
        {
            "optimizer": "rmsprop",
            "loss": "mse",
            "weighted_metrics": ["accuracy", "mae"],
        },
    ),
    "two heads": (
        two_headed,
        {"left": LABELS, "right": HOT},
        {
            "optimizer": "adam",
            "loss": {"left": SPARSE, "right": DENSE},
            "metrics": {"left": ["accuracy"], "right": ["accuracy", "mse"]},
        },
    ),
}


def trained(case, callbacks, make=None):
    """A model after a short `fit`, how often its step was traced, and the history."""
    own, y, options = CASES[case]
    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    model = (make or own)()
    model.compile(**options)
    Counted.calls = 0
    history = model.fit(X, y, batch_size=16, verbose=0, callbacks=callbacks)
    return model, Counted.calls, history.history


def described(model):
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    return [
        (v.path, v.dtype, v.numpy().tolist())
        for v in [*metrics, *model.optimizer.variables, *model.variables]
    ]


@pytest.mark.parametrize("case", CASES)
def test_one_trace_and_the_very_same_variables(case):
    plain, _, history = trained(case, [])
    monitor = ka.ActivationMonitor(every=3, verbose=0)
    watched, traces, watched_history = trained(case, [monitor])
    # Of several losses Keras makes metrics as well, which only their call can tell.
    assert traces == 1 or case == "two heads"
    assert described(watched) == described(plain)
    assert history.items() <= watched_history.items()


def test_a_model_that_its_first_step_builds():
    plain, _, history = trained("sparse", [], unbuilt)
    monitor = ka.ActivationMonitor(every=3, verbose=0)
    watched, _, watched_history = trained("sparse", [monitor], unbuilt)
    assert described(watched) == described(plain)
    assert history.items() <= watched_history.items()


def test_metrics_that_are_given_something_else():
    class Own(keras.Model):
        """Its accuracy is that of labels, though its targets are one-hot."""

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            labels = keras.ops.argmax(y, axis=-1)
            return super().compute_metrics(x, labels, y_pred, sample_weight)

    def own():
        x = keras.Input((64,))
        return Own(x, layers.Dense(10, "softmax")(x))

    plain, _, history = trained("one-hot", [], own)
    monitor = ka.ActivationMonitor(verbose=0)
    watched, _, watched_history = trained("one-hot", [monitor], own)
    assert described(watched) == described(plain)
    assert history.items() <= watched_history.items()
