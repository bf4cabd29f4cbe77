"""`python -m benchmarks`: what it prints is whole, and made of ratios."""

import math
import pathlib
import re
import subprocess
import sys

import pytest

from benchmarks.cost import fresh
from benchmarks.cost.ways import WAYS

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a shortest run on one network writes."""
    path = tmp_path_factory.mktemp("results") / "cost.md"
    command = (
        *(sys.executable, "-m", "benchmarks", "cost", "--networks", "mlp"),
        *("--xla", "off", "--steps", "5", "--rounds", "2", "--repeats", "0"),
        *("--write", path),
    )
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8").strip() == done.stdout.strip()
    return done.stdout


def rows(written, title):
    """Dict of the first cell to the second, of the table below a title."""
    _, _, text = written.partition(f"### {title}\n")
    table = re.search(r"(^\|.*\|\n)+", text, re.MULTILINE)[0]
    _, _, *lines = table.splitlines()
    return dict(line.strip("| ").split(" | ") for line in lines)


def numbers(cell):
    return [float(number) for number in re.findall(r"[\d.]+|nan|inf", cell)]


def test_every_way_has_a_ratio_to_the_bare_step(written):
    steps = rows(written, "A step")
    assert list(steps) == [way.text for way in WAYS.values()]
    for cell in steps.values():
        middle, low, high = numbers(cell)
        assert 0 < low <= middle <= high < math.inf


def test_ways_that_log_write_histograms(written):
    logged = rows(written, "Logged")
    logging = ("monitor", "every", "keras", "histogram")
    assert list(logged) == [WAYS[way].text for way in logging]
    for cell in logged.values():
        histogram, total = numbers(cell)
        assert 100 < histogram < total


def test_what_was_not_measured_is_a_dash(written):
    for title in ("Until the first step is done", "Memory"):
        assert set(rows(written, title).values()) == {"—²"}


def test_no_time_is_told(written):
    assert not re.search(r"\d ?(s|ms|us|seconds|minutes)\b", written)


def test_fresh_processes():
    started = fresh.measure("mlp", ["bare", "monitor"], xla=False, repeats=1)
    assert started.first_step["bare"] == 1
    assert started.first_step["monitor"] > 0
    assert all(peak > 100 for [peak] in started.peak.values())  # megabytes
