import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_activations.health.finding import RULES, Finding
from keras_activations.telemetry.stats import (
    Histogram,
    LayerStats,
    WeightStats,
    Window,
)
from keras_activations.writers.markdown import RunDescription
from keras_activations.writers.summaries import window_summary
from keras_activations.writers.tensorboard import TensorBoardWriter, check_log_dir
from tests.board import RUN, Board


def make_layer(path="model/hidden", **changes):
    values = {
        "path": path,
        "activation": "tanh",
        "count": 6,
        "mean": 0.25,
        "std": 0.5,
        "min": -1.0,
        "max": 1.0,
        "saturation_low": 0.25,
        "saturation_high": 0.5,
        "zero_fraction": 0.125,
        "units": 4,
        "dead": np.array([True, False, False, False]),
        "nan_count": 2,
        "inf_count": 1,
        "histogram": Histogram(np.linspace(-1, 1, 4), np.array([1, 2, 3])),
        "weights": (
            WeightStats(f"{path}/kernel", 3.0, 0, 0, 6.0, 0.5),
            WeightStats(f"{path}/bias", 4.0, 5, 2, 8.0, 0.25),
        ),
    }
    return LayerStats(**{**values, **changes})


def make_window(step=1, *layers):
    layers = layers or (make_layer(),)
    return Window(step, 0, 1, {layer.path: layer for layer in layers})


def make_finding(step=7, layer="model/hidden", rule="saturation", message="Too flat."):
    return Finding(step, 2, layer, rule, 0.75, 0.5, "warn", message)


def write(log_dir, *windows, findings=(), description=None):
    with TensorBoardWriter(log_dir) as writer:
        if description:
            writer.write_description(description)
        for window in windows:
            writer.write_window(window)
        writer.write_findings(findings)
    return Board(log_dir)


def test_histograms_and_distributions_show_the_counts_of_each_window(tmp_path):
    other = make_layer(histogram=Histogram(np.array([0.0, 1, 2]), np.array([7, 0])))
    board = write(tmp_path, make_window(10), make_window(20, other))

    first, second = board.histogram("activations/model/hidden")

    assert (first[0], second[0]) == (10, 20)
    third = 1 / 3
    expected = [[-1, -third, 1], [-third, third, 2], [third, 1, 3]]
    np.testing.assert_allclose(first[1], expected, atol=1e-15)
    assert second[1] == [[0, 1, 7], [1, 2, 0]]
    assert [step for step, _ in board.distribution("activations/model/hidden")] == [
        10,
        20,
    ]


def test_scalars_show_each_measure(tmp_path):
    board = write(tmp_path, make_window(10))

    expected = {
        "saturation/model/hidden": 0.75,
        "zeros/model/hidden": 0.125,
        "dead_units/model/hidden": 0.25,
        "nonfinite/model/hidden": 3.0,
        "mean/model/hidden": 0.25,
        "std/model/hidden": 0.5,
        "min/model/hidden": -1.0,
        "max/model/hidden": 1.0,
        "gradient_norm/model/hidden": 5.0,
        "weight_norm/model/hidden": 10.0,
        "update_ratio/model/hidden": 0.5,
        "gradient_norm_by_weight/model/hidden/kernel": 3.0,
        "gradient_norm_by_weight/model/hidden/bias": 4.0,
        "nonfinite_gradient_by_weight/model/hidden/kernel": 0.0,
        "nonfinite_gradient_by_weight/model/hidden/bias": 7.0,
    }
    assert board.tags("scalars") == set(expected)
    for tag, value in expected.items():
        assert board.scalar(tag) == [(10, value)]


def test_what_is_none_empty_or_not_finite_is_left_out(tmp_path):
    broken = make_layer(
        mean=float("nan"),
        std=float("inf"),
        max=1e39,  # finite, but not in the single precision of a scalar
        histogram=Histogram(np.array([0.0, np.inf]), np.array([1])),
        weights=(WeightStats("model/hidden/kernel", float("nan"), 3),),
    )
    silent = LayerStats("model/silent", nan_count=4)
    empty = make_layer(
        "model/empty", histogram=Histogram(np.array([0.0, 1]), np.array([0]))
    )
    board = write(tmp_path, make_window(1, broken, silent, empty))

    scalars = board.tags("scalars")

    assert board.tags("histograms") == set()
    assert not {"mean/model/hidden", "std/model/hidden", "max/model/hidden"} & scalars
    assert "min/model/hidden" in scalars
    assert "gradient_norm/model/hidden" not in scalars
    assert board.scalar("nonfinite_gradient_by_weight/model/hidden/kernel") == [(1, 3)]
    assert {tag for tag in scalars if "silent" in tag} == {"nonfinite/model/silent"}


def test_a_histogram_takes_less_than_two_kilobytes():
    path = "transformer/encoder/block_11/attention/query"
    histogram = Histogram(np.linspace(-1, 1, 65), np.arange(64))
    layer = LayerStats(path, histogram=histogram)

    values = window_summary(make_window(1, layer)).value

    [size] = [v.ByteSize() for v in values if v.tag.startswith("activations/")]
    assert 64 * 3 * 8 < size < 1700


def test_one_window_is_one_event(tmp_path):
    layers = [make_layer(f"model/layer_{i}") for i in range(10)]
    write(tmp_path, make_window(3, *layers))

    [file] = (tmp_path / RUN).iterdir()
    events = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    events = [tf.compat.v1.Event.FromString(event) for event in events]

    assert [len(e.summary.value) for e in events if e.step == 3] == [10 * 16]


def test_findings_of_one_rule_and_step_share_a_text(tmp_path):
    findings = [
        make_finding(7, "model/a", message="The first one."),
        make_finding(7, "model/b", message="The second one."),
        make_finding(7, "model/c", "dead_units", "Another rule."),
        make_finding(9, "model/a", message="A later step."),
    ]
    board = write(tmp_path, findings=findings)

    (step, text), (later, _) = board.text("findings/saturation")

    assert (step, later) == (7, 9)
    for expected in ("model/a", "The first one.", "model/b", "The second one.", "warn"):
        assert expected in text
    assert "<table>" in text
    assert "Another rule." in board.text("findings/dead_units")[0][1]
    assert board.scalar("finding/saturation") == [(7, 1), (9, 1)]
    assert board.scalar("finding/dead_units") == [(7, 1)]


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


def test_the_description_shows_what_is_monitored(tmp_path):
    description = RunDescription(
        layers=[("model/hidden", "tanh"), ("model/pool", None)],
        rules=[("saturation", "stop", {"share": 0.5, "windows": 3})],
        versions={"keras": keras.__version__},
        metadata={"data|set": "a | b\nc", "<b>note</b>": "*x* `y` my_long_name"},
    )
    [(step, text)] = write(tmp_path, description=description).text("monitor/summary")

    assert step == 0
    for expected in (
        "<code>model/hidden</code></td>\n<td>tanh</td>",
        "<code>model/pool</code></td>\n<td>-</td>",
        "<td>stop</td>\n<td>share = 0.5, windows = 3</td>",
        f"<td>keras</td>\n<td>{keras.__version__}</td>",
        "<td>data|set</td>\n<td>a | b c</td>",
        "&lt;b&gt;note&lt;/b&gt;</td>\n<td>*x* `y` my_long_name</td>",
        "<td>share of units at their floor for a whole window, 0 to 1</td>",
    ):
        assert expected in text


def test_custom_scalars_show_all_layers_in_one_chart(tmp_path):
    window = make_window(5, make_layer("model/a"), make_layer("model/b"))
    findings = [make_finding(5, rule=rule) for rule in RULES]
    board = write(tmp_path, window, findings=findings, description=RunDescription())

    charts = board.charts()

    for words, tag in {
        "Saturation": "saturation",
        "Dead units": "dead_units",
        "Zeros": "zeros",
        "infinite outputs": "nonfinite",
        "Gradient norm": "gradient_norm",
        "Update ratio": "update_ratio",
    }.items():
        [shown] = [tags for title, tags in charts.items() if words in title]
        assert shown == {f"{tag}/model/a", f"{tag}/model/b"}
    [shown] = [tags for title, tags in charts.items() if "Findings" in title]
    assert len(shown) == len(RULES)


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

    assert Board(tmp_path).scalar("mean/model/hidden") == [(1, 0.25), (2, 0.25)]


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
