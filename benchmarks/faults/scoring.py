"""Scores: pure functions of records, nothing is trained or read here."""

import dataclasses
import statistics

from benchmarks.faults.outcomes import Outcome, outcome, rescued

# Where the alarms of each detector are read: peers look on at the warned run.
DETECTORS = {
    "monitor": "warn",
    "autotrainer": "warn",
    "deep_diagnosis": "warn",
    "terminate_on_nan": "warn",
    "check_numerics": "check_numerics",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One program on one seed, with all that was run of it.

    Attributes:
        program: a `Program`.
        seed: int.
        outcome: `Outcome` of the untreated run.
        plain: its `Record`.
        twin: that of the twin, None where there is none.
        treated: dict of treatment to `Record`.
    """

    program: object
    seed: int
    outcome: Outcome
    plain: object
    twin: object
    treated: dict


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a detector made of an ill run.

    Attributes:
        found: whether it said anything at all.
        kind: whether what it said first names the right rule.
        layer: whether it then names the right layer; None where that is not known.
        cause: likewise the cause.
        steps_late: steps from the first value that was not finite to its first alarm,
            for programs of that kind; None otherwise.
        share_late: share of the training from the onset of the fault to its first
            alarm, for the others; None otherwise.
    """

    found: bool
    kind: bool = False
    layer: bool | None = None
    cause: bool | None = None
    steps_late: int | None = None
    share_late: float | None = None


@dataclasses.dataclass(frozen=True)
class Rate:
    """A share of cases, and how it spreads over the seeds.

    Attributes:
        hits, count: of all seeds together.
        least, most: the shares of the seeds with the least and the greatest one.
    """

    hits: int
    count: int
    least: float
    most: float


def cases(programs, records):
    """All cases whose untreated run is known.

    The untreated run is that without the monitor or, where that was not made, the
    warned one, which does not differ from it.

    Args:
        programs: dict of name to `Program`.
        records: iterable of `Record`.

    Returns:
        list of `Case`, in the order of the programs, then of the seeds.
    """
    known: dict = {}
    for record in records:
        if record.ran:
            known.setdefault((record.program, record.seed), {})[record.treatment] = (
                record
            )

    def plain(name, seed):
        runs = known.get((name, seed), {})
        return runs.get("none") or runs.get("warn")

    found = []
    for name, program in programs.items():
        for seed in sorted(seed for other, seed in known if other == name):
            own = plain(name, seed)
            twin = plain(program.twin, seed) if program.twin else None
            if own is None or (program.twin and twin is None):
                continue
            label = outcome(program, own, twin)
            found.append(Case(program, seed, label, own, twin, known[name, seed]))
    return found


def alarms(case, detector):
    """The alarms of a detector, or None where it did not look at this case."""
    record = case.treated.get(DETECTORS[detector])
    return None if record is None else record.alarms.get(detector)


def judge(case, detector):
    """The `Verdict` on an ill case, or None where the detector did not look at it.

    What counts is the first thing said; of several said at the same step, the best.
    """
    said = alarms(case, detector)
    if said is None:
        return None
    program = case.program
    layer = False if program.layers else None
    cause = False if program.cause else None
    if not said:
        return Verdict(False, layer=layer, cause=cause)
    first = min(alarm.step for alarm in said)
    at_once = [alarm for alarm in said if alarm.step == first]
    right = [alarm for alarm in at_once if alarm.rule in program.answers]
    if layer is not None:
        layer = any(alarm.layer in program.layers for alarm in right)
    if cause is not None:
        cause = any(alarm.cause == program.cause for alarm in right)
    steps, share = None, None
    if program.kind == "nonfinite":
        bad = case.plain.first_bad_step
        steps = None if bad is None else first - bad
    else:
        share = max(0.0, first / case.plain.planned - program.onset)
    return Verdict(True, bool(right), layer, cause, steps, share)


def flagged(case, detector):
    """Whether a detector said anything, or None where it did not look."""
    said = alarms(case, detector)
    return None if said is None else bool(said)


def healed(case, treatment):
    """Whether an ill case ended as good as its twin, or None where it was not run."""
    treated = case.treated.get(treatment)
    return None if treated is None else rescued(treated, case.twin)


def cost(case, treatment, field="seconds"):
    """Processor time of a treated run over that of the plain one, None where unknown.

    Args:
        case: a `Case`.
        treatment: str.
        field: "seconds" for the whole run, "later_seconds" for that after its first
            epoch, in which nearly all the tracing is done.
    """
    treated, plain = case.treated.get(treatment), case.treated.get("none")
    if treated is None or plain is None or not getattr(plain, field):
        return None
    return getattr(treated, field) / getattr(plain, field)


def rate(answers):
    """The `Rate` of what is true, or None where nothing is known.

    Args:
        answers: iterable of `(seed, bool or None)`; None is left out.
    """
    by_seed: dict = {}
    for seed, answer in answers:
        if answer is not None:
            by_seed.setdefault(seed, []).append(bool(answer))
    if not by_seed:
        return None
    shares = [statistics.mean(hits) for hits in by_seed.values()]
    everything = [hit for hits in by_seed.values() for hit in hits]
    return Rate(sum(everything), len(everything), min(shares), max(shares))


def ill(known, kinds=None):
    """The ill cases that a rule is to find, of some kinds or of all."""
    return [
        case
        for case in known
        if case.program.faulty
        and case.outcome is Outcome.ILL
        and (kinds is None or case.program.kind in kinds)
    ]


def well(known, kind):
    """The cases of a kind (`HEALTHY`, `TWIN`) that ended well."""
    return [
        case
        for case in known
        if case.program.kind == kind and case.outcome is Outcome.WELL
    ]
