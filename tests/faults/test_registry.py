"""The registry is whole: counts, twins, families and causes."""

import collections

import pytest

from benchmarks.faults.families import HOLD_OUT, TUNE, held_out, split_of
from benchmarks.faults.program import HEALTHY, TWIN, UNCLAIMED
from benchmarks.faults.registry import PROGRAMS, select
from keras_activations.health.finding import CAUSES, RULES

KINDS = (*RULES, HEALTHY, TWIN, UNCLAIMED)


def test_enough_of_each():
    kinds = collections.Counter(program.kind for program in PROGRAMS.values())
    assert set(kinds) == set(KINDS)
    assert sum(kinds[rule] for rule in RULES) >= 40
    assert kinds[HEALTHY] >= 40


@pytest.mark.parametrize("kind", [*RULES, HEALTHY, UNCLAIMED])
def test_each_kind_is_tuned_on_and_held_out(kind):
    programs = [program for program in PROGRAMS.values() if program.kind == kind]
    assert {split_of(program.family) for program in programs} == {TUNE, HOLD_OUT}


def test_families_that_are_held_out_exist():
    assert held_out() <= {program.family for program in PROGRAMS.values()}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_what_is_known_of_a_program(program):
    if program.faulty:
        assert PROGRAMS[program.twin].kind == TWIN
    else:
        assert program.twin is None
    assert set(program.also) <= set(RULES)
    assert program.cause is None or program.cause in CAUSES
    assert 0 <= program.onset < 1


def test_twins_come_with_what_they_are_twins_of():
    chosen = [program.name for program in select("tanh-raw-wine*")]
    assert chosen == ["tanh-wine", "tanh-raw-wine", "tanh-raw-wine-separate"]


def test_nothing_matches():
    with pytest.raises(ValueError, match="Received: 'nosuch"):
        select("nosuch*")
