"""The demo and the command line, run for real."""

import contextlib
import io
import shlex
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_activations as ka
from keras_activations.__main__ import main
from keras_activations.demo import run_demo, runs
from keras_activations.demo.curves import free_folder
from keras_activations.demo.networks import careful_root
from keras_activations.demo.outcomes import Outcome, broken_promises

RUNS = ("healthy", "saturated", "nan_gradient")


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("a folder") / "demo"


@pytest.fixture(scope="module")
def story(log_dir):
    """Exit code and output of a demo of one epoch."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = main(["demo", "--log-dir", str(log_dir), "--epochs", "1"])
    return code, output.getvalue()


@pytest.fixture
def nothing_seen(monkeypatch):
    """Every training ends without a finding."""
    outcome = Outcome(steps=1, planned=9, loss=np.nan, accuracy=0.5, findings=[])
    monkeypatch.setattr(runs, "train", lambda *arguments: outcome)
    return outcome


def test_demo_keeps_its_promises(story):
    code, text = story
    assert code == 0, text
    assert "Not as promised" not in text


@pytest.mark.parametrize(
    "line",
    [
        "1 of 3: a healthy network",
        "2 of 3: the same network from a bad start",
        "3 of 3: a gradient that is NaN behind a loss that is not",
        "ActivationMonitor (warn): step 11, saturated/tanh_1:",
        "ActivationMonitor (stop): step 1, nan_gradient/dense:",
        "look at relu, square_root",
        "under TerminateOnNaN: trained for 45 of 45 steps, the loss stayed finite",
        "under ActivationMonitor: trained for 1 of 45 steps",
    ],
)
def test_story_tells(story, line):
    assert line in " ".join(story[1].split())


def test_story_has_three_reports_and_progress_bars(story):
    _, text = story
    assert text.count("worst first") == 3
    assert text.count("No findings.") == 1
    assert text.count("45/45") >= 4  # the bar may draw its last state twice
    assert "saturation: " in text


def test_each_run_has_curves(story, log_dir):
    tags = {}
    for run in RUNS:
        (file,) = (log_dir / run).rglob("events.out.tfevents.*")
        found = EventAccumulator(str(file)).Reload().Tags()
        tags[run] = {*found["tensors"], *found["scalars"]}
    assert "activations/healthy/tanh_1" in tags["healthy"]
    assert not any(tag.startswith("finding/") for tag in tags["healthy"])
    assert "finding/saturation" in tags["saturated"]
    assert "finding/nonfinite" in tags["nan_gradient"]


def test_last_comes_the_tensorboard_command(story, log_dir):
    text = story[1].split("See the curves")[1]
    (line,) = [line for line in text.splitlines() if "--logdir" in line]
    program, *arguments = shlex.split(line)
    assert arguments[-2:] == ["--logdir", str(log_dir)]
    assert shutil.which(program)


def test_what_was_not_found_is_told(nothing_seen, tmp_path, capsys):
    assert run_demo(tmp_path / "logs", epochs=1) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "the loss did not stay finite" in text
    told = text.split("Not as promised")[1]
    assert "saturation is found at a ClippedTanh" in told
    assert "the NaN gradient is found" in told
    assert "training stops at the step with the NaN gradient" in told
    assert told.count("there are curves in") == 3
    assert "the healthy network has no finding" not in told


def test_false_alarm_breaks_a_promise(nothing_seen, tmp_path):
    alarm = ka.Finding(1, 0, "healthy/gelu", "dead_units", 0.9, 0.5, "warn", "dead")
    ill = Outcome(1, 9, 0.5, 0.5, [alarm])
    well = nothing_seen
    broken = broken_promises(ill, well, well, well, tmp_path)
    assert "the healthy network has no finding" in broken


def test_earlier_demo_is_kept(tmp_path):
    assert free_folder(tmp_path) == tmp_path
    (tmp_path / "healthy").mkdir()
    beside = tmp_path.with_name(f"{tmp_path.name}-2")
    assert free_folder(tmp_path) == beside
    (beside / "healthy").mkdir(parents=True)
    assert free_folder(tmp_path) == tmp_path.with_name(f"{tmp_path.name}-3")


def test_folder_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SystemExit, match="is a file. Received: .*file"):
        free_folder(file)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SystemExit, match=r"keras_activations\[demo\]"):
        main(["demo"])


def test_careful_root_hides_a_nan_gradient():
    x = tf.constant([0.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = careful_root(x)
    assert keras.ops.convert_to_numpy(y).tolist() == [0.0, 2.0]
    gradient = tape.gradient(y, x).numpy()
    assert np.isnan(gradient[0]) and gradient[1] == 0.25


@pytest.mark.parametrize("epochs", ["0", "-1", "1.5", "many"])
def test_epochs_must_be_a_positive_number(epochs, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", f"--epochs={epochs}"])
    assert stop.value.code == 2
    assert f"Received: {epochs!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, told",
    [(["--help"], "demo"), (["demo", "--help"], "--log-dir DIR")],
)
def test_help(arguments, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "usage: keras-activations" in text
    assert told in text


def test_runs_as_a_module_and_asks_for_a_command():
    run = subprocess.run(
        [sys.executable, "-m", "keras_activations"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "the following arguments are required: COMMAND" in run.stderr
