"""A model to be watched, and what a monitor may have left on it."""

import copy
import pickle

import keras
import numpy as np
import tensorflow as tf

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]
HOOKS = {"call", "apply", "scale_loss", "train_step", "make_train_function"}


class Trouble:
    """Makes the loss fail when it is next called, that is when a step is traced."""

    exception = None


@keras.saving.register_keras_serializable("tests")
def loss(y_true, y_pred):
    if Trouble.exception is not None:
        raise Trouble.exception
    tf.debugging.assert_none_equal(y_true, 1000.0, message="a thousand")
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


def make_model():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, "tanh", name="hidden"),
            keras.layers.Dense(1, name="head"),
        ],
        name="model",
    )
    model.compile("adam", loss)
    return model


def fit(model, *callbacks, x=X, y=Y, **options):
    options = {"batch_size": 4, "verbose": 0, "shuffle": False, **options}
    return model.fit(x, y, callbacks=list(callbacks), **options)


def hooks(model):
    owners = {"model": model, "optimizer": model.optimizer}
    owners |= {layer.name: layer for layer in model.layers}
    return {
        (o, name) for o, owner in owners.items() for name in HOOKS & set(vars(owner))
    }


def values(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def names(model):
    # A loaded model leaves its own name out of the paths.
    return [v.path.removeprefix("model/") for v in model.variables]


def assert_same_values(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_as_if_never_there(model, tmp_path):
    """Saves, clones, pickles and copies: just the user's weights, and no monitor."""
    assert len(names(model)) == 4
    file = tmp_path / "model.keras"
    model.save(file)
    copies = {
        "saved": keras.models.load_model(file, compile=False),
        "cloned": keras.models.clone_model(model),
        "copied": copy.deepcopy(model),
        "pickled": pickle.loads(pickle.dumps(model)),
    }
    for how, other in copies.items():
        assert names(other) == names(model), how
        for owner in (other, *other.layers):
            assert not HOOKS & set(vars(owner)), how
        if how != "cloned":
            assert_same_values(other.get_weights(), model.get_weights())
