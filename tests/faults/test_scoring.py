"""Scores of hand-made records: exact numbers."""

import dataclasses

import pytest

from benchmarks.faults import scoring
from benchmarks.faults.outcomes import Outcome, outcome, rescued
from benchmarks.faults.program import HEALTHY, TWIN, UNCLAIMED, Program
from benchmarks.faults.records import Alarm, Record
from benchmarks.faults.scoring import Rate, Verdict


def never():
    raise AssertionError("scoring does not train")


SATURATED = Program(
    "saturated",
    "family",
    "saturation",
    never,
    twin="twin",
    layers=("hidden_1", "act_1"),
    also=("dead_units",),
    cause="large_weights",
)
BAD = Program("bad", "family", "nonfinite", never, twin="twin")
TWIN_OF_BOTH = Program("twin", "family", TWIN, never)
WELL = Program("well", "family", HEALTHY, never, least=0.8)
PROGRAMS = {p.name: p for p in (TWIN_OF_BOTH, SATURATED, BAD, WELL)}


def record(program, treatment="warn", seed=0, **fields):
    fields = {"skill": 0.9, "steps": 200, "planned": 200, "seconds": 2.0} | fields
    fields = {"later_seconds": 1.0} | fields
    return Record(program, seed, treatment, **fields)


def said(*alarms, by="monitor"):
    return {by: list(alarms)}


def one_case(program, *records):
    found = scoring.cases(PROGRAMS, [record("twin"), *records])
    return next(case for case in found if case.program is program)


class TestOutcome:
    twin = record("twin", skill=0.9)

    @pytest.mark.parametrize(
        "skill, finite, expected",
        [
            (0.81, True, Outcome.WELL),
            (0.79, True, Outcome.ILL),
            (0.95, True, Outcome.WELL),
            (0.9, False, Outcome.ILL),
        ],
    )
    def test_ten_points_worse_than_the_twin(self, skill, finite, expected):
        plain = record("saturated", skill=skill, finite=finite)
        assert outcome(SATURATED, plain, self.twin) is expected

    @pytest.mark.parametrize(
        "skill, expected", [(0.8, Outcome.WELL), (0.7, Outcome.UNKNOWN)]
    )
    def test_a_healthy_program_has_to_learn(self, skill, expected):
        assert outcome(WELL, record("well", skill=skill)) is expected

    def test_what_is_not_claimed_has_no_outcome(self):
        program = dataclasses.replace(WELL, kind=UNCLAIMED)
        assert outcome(program, record("well", skill=0.1)) is Outcome.UNKNOWN

    def test_rescued_is_within_five_percent(self):
        treated = record("saturated", "rescue", skill=0.856)
        assert rescued(treated, self.twin)
        assert not rescued(dataclasses.replace(treated, skill=0.854), self.twin)
        assert not rescued(dataclasses.replace(treated, finite=False), self.twin)
        assert not rescued(dataclasses.replace(treated, error="no"), self.twin)


class TestVerdict:
    def verdict(self, *alarms, program=SATURATED, **fields):
        own = record(program.name, skill=0.2, alarms=said(*alarms), **fields)
        return scoring.judge(one_case(program, own), "monitor")

    def test_nothing_said(self):
        expected = Verdict(False, kind=False, layer=False, cause=False)
        assert self.verdict() == expected

    def test_all_right(self):
        alarm = Alarm(30, "saturation", "hidden_1", "large_weights")
        expected = Verdict(True, True, True, True, None, 0.15)
        assert self.verdict(alarm) == expected

    def test_another_name_of_the_same_illness(self):
        verdict = self.verdict(Alarm(30, "dead_units", "act_1"))
        assert (verdict.kind, verdict.layer, verdict.cause) == (True, True, False)

    def test_the_first_one_counts(self):
        verdict = self.verdict(
            Alarm(40, "saturation", "hidden_1", "large_weights"),
            Alarm(20, "vanishing_gradient", "hidden_1", "large_weights"),
        )
        assert verdict == Verdict(True, False, False, False, None, 0.1)

    def test_the_best_of_one_step_counts(self):
        verdict = self.verdict(
            Alarm(40, "vanishing_gradient", "hidden_3"),
            Alarm(40, "saturation", "hidden_1"),
        )
        assert (verdict.kind, verdict.layer) == (True, True)

    def test_what_is_not_finite_is_late_by_steps(self):
        verdict = self.verdict(Alarm(9, "nonfinite"), program=BAD, first_bad_step=7)
        assert verdict == Verdict(True, True, None, None, 2, None)

    def test_late_after_the_onset(self):
        program = dataclasses.replace(SATURATED, onset=0.25)
        alarms = said(Alarm(60, "saturation", "hidden_1"))
        own = record("saturated", skill=0.2, alarms=alarms)
        case = scoring.Case(program, 0, Outcome.ILL, own, None, {"warn": own})
        assert scoring.judge(case, "monitor").share_late == pytest.approx(0.05)

    def test_a_peer_that_did_not_look(self):
        case = one_case(SATURATED, record("saturated", skill=0.2))
        assert scoring.judge(case, "check_numerics") is None
        assert scoring.flagged(case, "check_numerics") is None


class TestCases:
    def test_the_run_without_the_monitor_is_the_plain_one(self):
        plain = record("saturated", "none", skill=0.3)
        case = one_case(SATURATED, record("saturated", skill=0.2), plain)
        assert case.plain is plain
        assert case.outcome is Outcome.ILL

    def test_without_its_twin_there_is_no_case(self):
        assert scoring.cases(PROGRAMS, [record("saturated")]) == []

    def test_refused_and_broken_runs_are_left_out(self):
        records = [
            record("well", refused="no"),
            record("well", seed=1, error="broken"),
            record("well", seed=2),
        ]
        [case] = scoring.cases(PROGRAMS, records)
        assert case.seed == 2

    def test_ill_and_well(self):
        records = [
            record("twin"),
            record("saturated", skill=0.2),
            record("bad"),
            record("well"),
            record("well", seed=1, skill=0.1),
        ]
        known = scoring.cases(PROGRAMS, records)
        assert [case.program.name for case in scoring.ill(known)] == ["saturated"]
        assert scoring.ill(known, ("nonfinite",)) == []
        assert [case.seed for case in scoring.well(known, HEALTHY)] == [0]

    def test_healing_and_its_cost(self):
        case = one_case(
            SATURATED,
            record("saturated", "none", skill=0.2),
            record("saturated", "rescue", skill=0.88, seconds=2.2),
            record("saturated", "clip", refused="not supported"),
        )
        assert scoring.healed(case, "none") is False
        assert scoring.healed(case, "rescue") is True
        assert scoring.healed(case, "clip") is None
        assert scoring.cost(case, "rescue") == pytest.approx(1.1)
        assert scoring.cost(case, "rescue", "later_seconds") == pytest.approx(1.0)
        assert scoring.cost(case, "clip") is None


class TestRate:
    def test_of_all_seeds_and_by_seed(self):
        answers = [(0, True), (0, True), (0, False), (0, True), (1, False), (1, None)]
        assert scoring.rate(answers) == Rate(3, 5, 0.0, 0.75)

    def test_of_nothing(self):
        assert scoring.rate([(0, None)]) is None
