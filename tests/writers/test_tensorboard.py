"""The writer's file: when it is there, beside others, and when it cannot be written."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_activations.writers.markdown import RunDescription
from keras_activations.writers.tensorboard import TensorBoardWriter, check_log_dir
from tests.board import RUN, Board
from tests.writers.windows import make_finding, make_window, write


def test_findings_handed_over_one_by_one_are_all_readable(tmp_path):
    with TensorBoardWriter(tmp_path) as writer:
        writer.write_findings([make_finding(layer="model/a")])
        writer.write_findings([make_finding(layer="model/b")])

    texts = [text for _, text in Board(tmp_path).text("findings/saturation")]

    assert len(texts) == 2
    assert "model/a" in texts[0]
    assert "model/b" in texts[1]


def test_findings_can_be_read_before_the_file_is_closed(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.write_findings([make_finding()])

    assert Board(tmp_path).scalar("finding/saturation") == [(7, 1)]
    writer.close()


def test_beside_keras_own_callback_neither_loses_a_value(tmp_path):
    writer = TensorBoardWriter(tmp_path)

    class WriteEachStep(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            writer.write_window(make_window(self.steps))
            writer.write_findings([make_finding(self.steps)])

    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((24, 3), "float32"), np.ones((24, 1), "float32")
    theirs = keras.callbacks.TensorBoard(tmp_path, update_freq=3, histogram_freq=1)
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=2,
        validation_data=(x, y),
        callbacks=[theirs, WriteEachStep()],
        verbose=0,
    )
    writer.close()
    board = Board(tmp_path)

    steps = list(range(1, 13))
    assert [s for s, _ in board.histogram("activations/model/hidden")] == steps
    assert [s for s, _ in board.scalar("saturation/model/hidden")] == steps
    assert [s for s, _ in board.text("findings/saturation")] == steps
    assert board.runs() == {RUN, "train", "validation"}
    assert [s for s, _ in board.scalar("epoch_loss", "train")] == [0, 1]
    assert [s for s, _ in board.scalar("epoch_loss", "validation")] == [0, 1]
    # Every third step; Keras 3.9 writes every one.
    assert len(board.scalar("batch_loss", "train")) in (4, 12)
    kernels = [t for t in board.tags("histograms", "train") if "kernel" in t]
    # One a layer; Keras 3.9 gives both layers one tag.
    assert len(kernels) in (1, 2)
    assert {s for s, _ in board.histogram(kernels[0], "train")} == {0, 1}


def test_inside_the_scope_of_a_strategy(tmp_path):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        board = write(tmp_path, make_window(3), findings=[make_finding()])

    assert board.scalar("mean/model/hidden") == [(3, 0.25)]


def test_no_file_before_the_first_write(tmp_path):
    writer = TensorBoardWriter(tmp_path / "logs")
    writer.write_findings([])
    writer.flush()
    writer.close()
    writer.close()

    assert not (tmp_path / "logs").exists()


def test_a_write_after_close_adds_to_the_run(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    for step in (1, 2):
        writer.write_window(make_window(step))
        writer.close()
        writer.close()

    # In which order the files are read follows from names that hold no step.
    found = sorted(Board(tmp_path).scalar("mean/model/hidden"))
    assert found == [(1, 0.25), (2, 0.25)]


def test_a_folder_that_cannot_be_made_warns_once(tmp_path):
    (tmp_path / "file").touch()
    writer = TensorBoardWriter(tmp_path / "file" / "logs")

    with pytest.warns(RuntimeWarning) as caught:
        writer.write_description(RunDescription())
        writer.write_window(make_window())
        writer.write_findings([make_finding()])
        writer.close()

    [warning] = caught
    message = str(warning.message)
    assert str(tmp_path / "file" / "logs") in message
    assert "is not a directory" in message
    assert "Training goes on, nothing more will be logged" in message
    assert "Op:" not in message


@pytest.mark.parametrize("case", ["write", "flush", "close"])
def test_a_disk_that_fills_up_warns_once(tmp_path, case):
    # In a process of its own: the limit on the size of files that stands in for a
    # full disk would hit the test runner's output as well.
    script = Path(__file__).with_name("full_disk.py")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), case, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Board(tmp_path).scalar("mean/model/hidden") == [(1, 0.25)]
    assert len(list((tmp_path / RUN).iterdir())) == 1


def test_a_warning_made_an_error_does_not_leave_a_half_open_writer(tmp_path):
    (tmp_path / "file").touch()
    writer = TensorBoardWriter(tmp_path / "file" / "logs")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            writer.write_window(make_window())
        writer.write_window(make_window())
        writer.close()


def test_check_log_dir_accepts_folders_and_writes_nothing(tmp_path):
    assert check_log_dir(None) is None
    assert check_log_dir(tmp_path) == os.fspath(tmp_path)
    assert check_log_dir(str(tmp_path / "new" / "logs")) == str(tmp_path / "new/logs")
    assert list(tmp_path.iterdir()) == []


def test_check_log_dir_refuses_what_cannot_be_a_folder(tmp_path):
    file = tmp_path / "notes.txt"
    file.touch()
    with pytest.raises(NotADirectoryError, match=r"Received: .*notes\.txt"):
        check_log_dir(file)
    with pytest.raises(NotADirectoryError):
        TensorBoardWriter(file)
    with pytest.raises(ValueError, match="Received: log_dir=''"):
        check_log_dir("")
    for wrong in (3, b"logs", ["logs"]):
        with pytest.raises(TypeError, match="Received: "):
            check_log_dir(wrong)
    with pytest.raises(ValueError, match="Received: None"):
        TensorBoardWriter(None)
