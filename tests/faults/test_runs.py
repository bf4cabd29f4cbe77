"""A few programs of the ward, trained: what is found where, and nothing where nothing is."""

import numpy as np
import pytest

from benchmarks.faults import running, scoring
from benchmarks.faults.data import Split
from benchmarks.faults.registry import PROGRAMS
from benchmarks.faults.running import run

ILL = ("tanh-large-weights", "relu-dead-bias", "square-root-at-zero")
WELL = ("sparse-relu", "relu-raw-pixels")
PLAIN = "sparse-relu"


@pytest.fixture(scope="module")
def ran():
    """Dict of key to the record of a run."""
    keys = [(name, 0, "warn") for name in (*ILL, *WELL)] + [(PLAIN, 0, "none")]
    records = [run(PROGRAMS[name], seed, how)[0] for name, seed, how in keys]
    assert [record.error for record in records] == [None] * len(records)
    return {record.key: record for record in records}


@pytest.mark.parametrize("name", ILL)
def test_ill(ran, name):
    record, program = ran[name, 0, "warn"], PROGRAMS[name]
    case = scoring.Case(program, 0, None, record, None, {"warn": record})
    verdict = scoring.judge(case, "monitor")
    assert (verdict.found, verdict.kind, verdict.layer) == (True, True, True)
    assert record.skill < 0.5


@pytest.mark.parametrize("name", WELL)
def test_well(ran, name):
    record = ran[name, 0, "warn"]
    assert record.alarms["monitor"] == []
    assert record.skill >= PROGRAMS[name].least


def test_at_the_very_step(ran):
    record = ran["square-root-at-zero", 0, "warn"]
    assert record.alarms["monitor"][0].step == record.first_bad_step == 1


def test_peers_look_on(ran):
    saturated = ran["tanh-large-weights", 0, "warn"].alarms
    assert [alarm.rule for alarm in saturated["deep_diagnosis"]] == ["saturation"]
    # The loss stays finite where only gradients are not. That of the next step may not,
    # unless TensorFlow's kernel for this processor makes 0 of NaN in a ReLU.
    bad = ran["square-root-at-zero", 0, "warn"].alarms
    (first, *_) = bad["monitor"]
    assert all(alarm.step > first.step for alarm in bad["terminate_on_nan"])
    assert [alarm.rule for alarm in bad["autotrainer"]][:1] == ["nonfinite"]


def test_neither_the_monitor_nor_peers_change_the_training(ran):
    watched, plain = ran[PLAIN, 0, "warn"], ran[PLAIN, 0, "none"]
    assert watched.weights == plain.weights
    assert plain.alarms == {}


def test_skill_where_a_target_is_bad():
    x = np.arange(8.0)[:, None]
    bad = np.where(x == 3, np.nan, x)
    split = Split(x, bad, x, x)
    assert running.skill(lambda x, training: x, split) == 1
    assert running.skill(lambda x, training: x + 1, split) == pytest.approx(
        0.81, abs=0.01
    )
    assert running.skill(lambda x, training: x * np.nan, split) == 0
