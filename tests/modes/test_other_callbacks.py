"""Beside Keras's own callbacks, which read the logs and change the run."""

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.board import Board
from tests.modes.runs import (
    EAGERLY,
    assert_same_bits,
    batches,
    classifier,
    digits,
    fit,
    make_monitor,
    watch,
)
from tests.modes.twin import assert_describes_steps

callbacks = keras.callbacks
EPOCH = 4  # steps


def short_epochs(count):
    x, y = digits(EPOCH)
    return {"x": x, "y": y, "batch_size": 8, "epochs": count}


def test_checkpoints_averages_early_stopping_and_learning_rate(tmp_path):
    """Steps are made with the plain weights, validated and saved are their averages."""
    x, y = digits(2)

    def run(monitor):
        averages = {"use_ema": True, "ema_momentum": 0.8}
        file = tmp_path / f"{monitor is not None}.weights.h5"
        others = [
            callbacks.SwapEMAWeights(swap_on_epoch=True),
            callbacks.ModelCheckpoint(
                file, save_best_only=True, save_weights_only=True
            ),
            # No improvement is ever good enough: stops after the third epoch.
            callbacks.ReduceLROnPlateau(patience=1, min_delta=1e9),
            callbacks.EarlyStopping(
                patience=2, min_delta=1e9, restore_best_weights=True
            ),
        ]
        return fit(
            classifier,
            monitor,
            others,
            compile={"optimizer": keras.optimizers.SGD(0.1, **averages), **EAGERLY},
            validation_data=(100 * x, y),
            **short_epochs(5),
        )

    watched = watch(run)
    assert len(watched.windows) == 3 * EPOCH
    assert len(set(watched.logs["learning_rate"])) > 1
    data = batches(*digits(EPOCH)) * 3
    for *step, window in zip(watched.before, data, watched.windows, strict=True):
        assert_describes_steps(window, [step], rtol=1e-4)
    saved = [classifier() for _ in range(2)]
    for model, name in zip(saved, ("False", "True"), strict=True):
        model.load_weights(tmp_path / f"{name}.weights.h5")
    for one, other in zip(*(model.get_weights() for model in saved), strict=True):
        np.testing.assert_array_equal(one, other)


def test_callbacks_that_read_the_saturation(tmp_path):
    """It stays where it is, for the weights do."""
    of = {"monitor": "saturation", "mode": "min"}
    saving = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5",
        save_best_only=True,
        save_weights_only=True,
        **of,
    )
    slower = callbacks.ReduceLROnPlateau(patience=1, min_delta=0.0, min_lr=0.0, **of)
    stop = callbacks.EarlyStopping(patience=2, **of)
    monitor, windows = make_monitor()
    run = fit(
        classifier,
        monitor,
        [saving, slower, stop],
        compile={"optimizer": keras.optimizers.SGD(1e-12), **EAGERLY},
        **short_epochs(5),
    )
    last = windows[-1].layers["hidden"].saturation
    assert 0 < last < 1
    assert run.logs["saturation"] == [last] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["1.weights.h5"]
    assert run.logs["learning_rate"] == pytest.approx([1e-12, 1e-12, 1e-13])


class Killed(Exception):
    pass


class Kill(callbacks.Callback):
    """Ends the process, as far as `fit` knows, in the middle of an epoch."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise Killed


def test_a_run_that_is_killed_and_started_again(tmp_path):
    """Steps go on where the backup was made; those done since are logged once more."""

    def start(*others):
        monitor = ka.ActivationMonitor(
            tmp_path / "logs",
            every=1,
            rules=[ka.rules.Saturation(threshold=0.01, patience=1)],
            verbose=0,
        )
        backup = callbacks.BackupAndRestore(tmp_path / "backup")
        others = [backup, *others]
        return monitor, fit(
            classifier, monitor, others, compile=EAGERLY, **short_epochs(3)
        )

    with pytest.raises(Killed):
        start(Kill(EPOCH + 3))
    monitor, resumed = start()

    assert len(resumed.before) == 2 * EPOCH
    assert monitor.findings[0].step == EPOCH + 1
    plain = fit(classifier, compile=EAGERLY, **short_epochs(3))
    resumed.logs = plain.logs  # Keras keeps those of the last start only
    assert_same_bits(plain, resumed)

    board = Board(tmp_path / "logs")
    for tag in ("std/hidden", "gradient_norm/head"):
        logged = sorted(board.scalar(tag))
        again = range(EPOCH + 1, EPOCH + 4)
        steps = sorted([*range(1, 3 * EPOCH + 1), *again])
        assert [step for step, _ in logged] == steps
        assert len(set(logged)) == 3 * EPOCH  # the same steps gave the same values
    assert sorted({step for step, _ in board.histogram("activations/hidden")}) == list(
        range(1, 3 * EPOCH + 1)
    )
    assert [step for step, _ in sorted(board.scalar("finding/saturation"))] == [
        1,
        EPOCH + 1,
    ]
