"""Two workers, each a process, under MultiWorkerMirroredStrategy, and the README's script."""

import dataclasses
import json
import re
import socket

import numpy as np
import pytest

from tests.board import Board
from tests.modes import processes
from tests.modes.runs import BATCH, batches
from tests.modes.strategies import assert_same, rows
from tests.modes.twin import LAYERS, assert_describes_steps, assert_describes_update
from tests.modes.two_workers import BAD_STEP, LOGS, ROWS, SCRIPT

FIRST_LINE = "# train.py: the same on every worker"
WEIGHTS = [f"{layer}/{kind}" for layer in LAYERS for kind in ("kernel", "bias")]


def readme_script():
    """The README's script for several workers, as printed."""
    readme = (processes.ROOT / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (script,) = (block for block in blocks if block.startswith(FIRST_LINE))
    return script


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The working folder of the chief, and that of the other worker."""
    folders = [tmp_path_factory.mktemp(name) for name in ("chief", "other")]
    for folder in folders:
        (folder / SCRIPT).write_text(readme_script())
    return folders


@pytest.fixture(scope="module")
def workers(folders):
    """What each worker sent, and what each of them printed."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    configurations = [
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        for index in range(2)
    ]
    environments = [
        {"TF_CONFIG": json.dumps(configuration)} for configuration in configurations
    ]
    return processes.run("tests.modes.two_workers", folders, environments, timeout=400)


@pytest.fixture
def chief(workers):
    return workers[0][0]


@pytest.fixture
def other(workers):
    return workers[0][1]


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def event_files(folder):
    return list(folder.rglob("*tfevents*"))


def plain_data(structure):
    """Dataclasses as what NumPy can compare."""
    return [dataclasses.asdict(each) for each in structure]


# The script


def test_the_readme_script_trains_and_watches_all_workers(chief, other):
    for stats in chief["script, stats"].values():
        assert stats.gradient_norm > 0 and stats.nan_count == 0
    sampled = [s for s in chief["script, stats"].values() if s.activation]
    assert [stats.activation for stats in sampled] == ["relu", "tanh"]
    assert [stats.count for stats in sampled] == [128 * 64, 128 * 64]
    np.testing.assert_equal(
        plain_data(other["script, stats"].values()),
        plain_data(chief["script, stats"].values()),
    )
    np.testing.assert_equal(other["script, weights"], chief["script, weights"])


def test_the_readme_script_reports_once(workers, folders):
    _, (chief, other) = workers
    (line,) = other.splitlines()
    losses = [float(said.splitlines()[-1].split()[-1]) for said in (chief, line)]
    assert losses[0] == losses[1] < 0.5
    assert chief.count("Activations of 3 layers") == 1
    assert event_files(folders[0] / "logs")
    assert not (folders[1] / "logs").exists()


# A loop by hand, whose every step is known


def test_observing_changes_nothing(chief, other):
    for worker in (chief, other):
        assert_same(worker["plain"], worker["watched"])
        assert not worker["left"]
    assert_same(chief["watched"], other["watched"])


def test_statistics_are_those_of_the_whole_batch(chief):
    watched = chief["watched"]
    data = batches(*rows(ROWS))
    assert [window.step for window in watched.windows] == list(range(1, len(data) + 1))
    for before, (x, y), window in zip(
        watched.before, data, watched.windows, strict=True
    ):
        # The loss is divided by the size of a full batch.
        share = np.full(len(x), len(x) / BATCH)
        assert_describes_steps(window, [(before, (x, y, share))])
    for before, after, window in zip(
        watched.before, watched.before[1:], watched.windows, strict=False
    ):
        assert_describes_update(window, WEIGHTS, before, after)


def test_workers_agree(chief, other):
    np.testing.assert_equal(
        plain_data(other["watched"].windows), plain_data(chief["watched"].windows)
    )


def test_only_the_chief_writes(chief, folders):
    steps = [window.step for window in chief["watched"].windows]
    assert len(event_files(folders[0] / LOGS)) == 1
    board = Board(folders[0] / LOGS)
    for kind, events in (("scalars", board.scalar), ("histograms", board.histogram)):
        assert len(board.tags(kind)) >= len(LAYERS)
        for tag in board.tags(kind):
            assert [step for step, _ in events(tag)] == steps, tag
    assert not (folders[1] / LOGS).exists()


@pytest.mark.parametrize(
    ("run", "layer", "count"),
    # A row of outputs, whose gradient both workers see; or one output, which one sees.
    [("stopped, gradient", "hidden", 12), ("stopped, no gradient", "aside/root", 1)],
)
def test_nan_in_one_worker_stops_all(run, layer, count, chief, other):
    for worker in (chief, other):
        stopped = worker[run]
        (finding,) = stopped.findings
        assert finding.rule == "nonfinite"
        assert finding.layer.endswith(layer)
        assert (finding.step, finding.value) == (BAD_STEP, count)
        assert len(stopped.before) == len(stopped.logs) == BAD_STEP
        assert [window.step for window in stopped.windows] == [1]
    assert chief[run].findings == other[run].findings
    assert_same(chief[run], other[run])


# What is refused


@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_what_keras_itself_cannot_do(call, chief, other):
    """Keras fails before it asks a callback; once it does not, the monitor refuses."""
    for worker in (chief, other):
        answer = worker["refused"][call]
        assert "PerReplica" in answer or answer.startswith("Keras itself cannot")


def test_predict_is_refused(chief, other):
    for worker in (chief, other):
        assert worker["refused"]["predict"].startswith("Keras itself cannot train")
        assert "under MultiWorkerMirroredStrategy" in worker["refused"]["predict"]


def test_clip_is_refused(chief, other):
    for worker in (chief, other):
        assert worker["refused"]["clip"].startswith('"clip" and "rescue" are not')
