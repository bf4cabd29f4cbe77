"""Checkpoints saved while a monitor watches are those of the user's model."""

import h5py
import keras

import keras_activations as ka
from tests.leftovers import assert_same_values, fit, hooks, make_model, names


class Recorder(keras.callbacks.Callback):
    """What is in place between the steps."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def on_train_batch_end(self, batch, logs=None):
        self.seen |= hooks(self.model)


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update(
                {name: item[()]} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return found


def test_checkpoints_during_fit_hold_the_users_model_only(tmp_path):
    def checkpoints(folder, *callbacks):
        keras.utils.set_random_seed(3)
        keras.backend.clear_session()
        model = make_model()
        saving = [
            keras.callbacks.ModelCheckpoint(
                tmp_path / folder / name, save_freq=1, **how
            )
            for name, how in (
                ("{batch}.keras", {}),
                ("{batch}.weights.h5", {"save_weights_only": True}),
            )
        ]
        fit(model, *callbacks, *saving)
        return model

    recorder = Recorder()
    monitor = ka.ActivationMonitor(every=1, on_nonfinite="clip", verbose=0)
    watched = checkpoints("watched", monitor, recorder)
    checkpoints("plain")

    assert recorder.seen == {
        ("model", "make_train_function")
    }  # taps only while tracing
    for batch in (1, 4):
        ours, plain = (
            keras.models.load_model(tmp_path / run / f"{batch}.keras", compile=False)
            for run in ("watched", "plain")
        )
        assert names(ours) == names(plain) == names(watched)
        assert_same_values(ours.get_weights(), plain.get_weights())
        ours, plain = (
            datasets(tmp_path / run / f"{batch}.weights.h5")
            for run in ("watched", "plain")
        )
        assert ours.keys() == plain.keys()
        assert_same_values(ours.values(), plain.values())
    clone = keras.models.clone_model(watched)
    clone.load_weights(tmp_path / "watched" / "4.weights.h5")
    assert_same_values(clone.get_weights(), watched.get_weights())
