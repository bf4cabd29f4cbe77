"""The page: every figure of it comes from the records."""

from benchmarks.faults import scoring, tables
from benchmarks.faults.records import Alarm, Record
from benchmarks.faults.registry import PROGRAMS
from benchmarks.faults.scoring import Rate


def record(program, treatment="warn", seed=0, skill=0.9, said=(), **fields):
    return Record(
        program,
        seed,
        treatment,
        skill=skill,
        planned=200,
        seconds=2.0,
        later_seconds=1.0,
        alarms={"monitor": list(said)} if treatment == "warn" else {},
        **fields,
    )


def page(*records):
    return tables.page(PROGRAMS, list(records))


def row(text, title, first):
    """The cells of a row, below a title."""
    _, _, text = text.partition(f"# {title}\n")
    lines = (line.strip("| ").split(" | ") for line in text.splitlines())
    return next(line[1:] for line in lines if line[0] == first)


SAID = Alarm(30, "saturation", "hidden_1", "large_weights")
TWINS = [record("tanh-digits", "none", seed) for seed in (0, 1)]


def test_what_was_found():
    text = page(
        *TWINS,
        record("tanh-large-weights", skill=0.1, said=[SAID]),
        record("tanh-large-weights", seed=1, skill=0.1),
        record("sparse-relu", said=[SAID]),
        record("wide-relu"),
    )
    cells = row(text, "Families tuned on", "the monitor")
    half = "50.0% of 2 (0 to 100)"
    assert cells[:6] == [half, half, half, half, "-", "15%"]
    assert cells[6:] == ["50.0% of 2 (50 to 50)", "-"]
    assert row(text, "Families tuned on", "AutoTrainer")[0] == "-"
    assert row(text, "Families held out", "the monitor")[0] == "-"
    assert "- tanh-large-weights: skill 0.10, twin 0.90" in text
    assert "- sparse-relu: saturation hidden_1 @30 (large_weights)" in text


def test_what_was_healed():
    text = page(
        *TWINS,
        *(record("tanh-large-weights", "none", seed, skill=0.1) for seed in (0, 1)),
        record("tanh-large-weights", "rescue", skill=0.88),
        record("tanh-large-weights", "rescue", 1, skill=0.5),
        record("tanh-large-weights", "clip", refused="'clip' is not supported"),
    )
    assert row(text, "Healed", "rescue, tune") == [
        "50.0% of 2 (0 to 100)",
        "50.0% of 2 (0 to 100)",
        "1.00 (1.00 to 1.00)",
        "1.00 (1.00 to 1.00)",
    ]
    assert row(text, "Healed", "clip, tune") == ["-", "-", "-", "-"]
    assert "- `clip`: 'clip' is not supported" in text


def test_runs_that_are_the_same_to_the_bit():
    text = page(
        record("sparse-relu", "none", weights="a"),
        record("sparse-relu", weights="a"),
        record("sparse-relu", "none", 1, weights="b"),
        record("sparse-relu", seed=1, weights="c"),
    )
    assert "to the bit: 1 of 2 under `warn`" in text


def test_errors_are_told():
    text = page(record("sparse-relu", error="Traceback\nValueError: no"))
    assert "- sparse-relu: warn: ValueError: no" in text


def test_cells():
    assert tables.cell(Rate(19, 20, 0.9, 1.0)) == "95.0% of 20 (90 to 100)"
    assert tables.cell(scoring.rate([])) == "-"
