"""What a monitored fit leaves in TensorBoard, read back by TensorBoard's own plugins."""

import warnings

import keras
import numpy as np
import pytest

import keras_activations as ka
from tests.board import RUN, Board


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, "tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(x))
    model.compile("sgd", "mse")
    return model


def data(bad=None):
    x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
    if bad is not None:
        x[bad, 0] = np.nan
    return x, x[:, :1].copy()


def fit(model, monitor, *callbacks, bad=None):
    options = {"batch_size": 8, "verbose": 0, "shuffle": False}
    model.fit(*data(bad), callbacks=[monitor, *callbacks], **options)


def test_histograms_steps_and_second_fit(tmp_path):
    model = network()
    monitor = ka.ActivationMonitor(
        tmp_path, every=2, metadata={"commit": "1a2b3c"}, verbose=0
    )
    fit(model, monitor)
    fit(model, monitor)
    board = Board(tmp_path)
    # Two fits in one second: TensorBoard may read the second file first.
    rows = sorted(board.histogram("activations/hidden"))
    assert [step for step, _ in rows] == [1, 3, 5, 7, 9, 11]
    last = monitor.stats["hidden"].histogram
    bins = rows[-1][1]
    assert sum(count for *_, count in bins) == last.counts.sum() == 64
    assert bins[0][0] >= -1 and bins[-1][1] <= 1
    assert len(board.distribution("activations/hidden")) == 6
    for tag in ("saturation/hidden", "gradient_norm/hidden", "update_ratio/head"):
        assert [step for step, _ in sorted(board.scalar(tag))] == [1, 3, 5, 7, 9, 11]
    summary = str(board.text("monitor/summary"))
    for word in ("hidden", "tanh", "saturation", "1a2b3c", keras.__version__):
        assert word in summary


def test_beside_keras_own_callback(tmp_path):
    model = network()
    own = keras.callbacks.TensorBoard(tmp_path, update_freq=3, write_graph=False)
    fit(model, ka.ActivationMonitor(tmp_path, every=1, verbose=0), own)
    board = Board(tmp_path)
    assert [step for step, _ in board.scalar("std/hidden")] == [1, 2, 3, 4, 5, 6]
    assert board.scalar("epoch_loss", run="train")
    assert board.runs() == {RUN, "train"}


def test_finding_is_on_disk_at_once(tmp_path):
    seen = []

    def look(finding, model):
        seen.append(str(Board(tmp_path).text("findings/nonfinite")))

    model = network()
    monitor = ka.ActivationMonitor(tmp_path, on_nonfinite=look, verbose=0)
    fit(model, monitor, bad=17)
    assert len(seen) == 1
    assert "the batch itself already holds 2" in seen[0]
    assert [step for step, _ in Board(tmp_path).scalar("finding/nonfinite")] == [3]


def test_folder_that_cannot_be_written_warns_once_and_training_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    monitor = ka.ActivationMonitor(tmp_path / "file" / "logs", every=1, verbose=0)
    model = network()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, monitor)
    told = [w for w in caught if issubclass(w.category, RuntimeWarning)]
    assert len(told) == 1 and "Training goes on" in str(told[0].message)
    assert int(model.optimizer.iterations) == 6
    assert monitor.stats["hidden"].count == 64


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(network(), ka.ActivationMonitor(verbose=0))
    assert list(tmp_path.iterdir()) == []


def test_log_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(NotADirectoryError, match="Received"):
        ka.ActivationMonitor(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
