"""The cache: what was run is not run again."""

from benchmarks.faults.cache import Cache
from benchmarks.faults.records import Alarm, Record


def record(seed=0, code="a", **fields):
    alarms = {"monitor": [Alarm(3, "saturation", "hidden_1", value=0.5)]}
    return Record("program", seed, "warn", code=code, alarms=alarms, **fields)


def test_records_come_back_as_they_were(tmp_path):
    cache = Cache(tmp_path / "new", code="a")
    cache.add(record(skill=0.5), b"windows")
    cache.add(record(seed=1, first_bad_step=3), None)
    known = Cache(tmp_path / "new", code="a").records()
    assert known == {r.key: r for r in (record(skill=0.5), record(1, first_bad_step=3))}
    assert cache.windows(record()).read_bytes() == b"windows"


def test_other_code_does_not_count(tmp_path):
    Cache(tmp_path).add(record(code="old"), None)
    assert Cache(tmp_path, code="new").records() == {}
    assert len(Cache(tmp_path).records()) == 1


def test_the_last_of_two(tmp_path):
    cache = Cache(tmp_path)
    cache.add(record(skill=0.1), None)
    cache.add(record(skill=0.2), None)
    assert [known.skill for known in cache.records().values()] == [0.2]


def test_half_a_line_is_left_out(tmp_path):
    cache = Cache(tmp_path)
    cache.add(record(), None)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"program": "pro')
    assert len(cache.records()) == 1
