"""Outcomes: what a run is called is how it ended, never how it was designed."""

import enum

from benchmarks.faults.program import HEALTHY, TWIN

# Clearly worse than the twin: ten points of accuracy, or of variance explained.
WORSE = 0.10
# As good as the twin: within 5 % of its skill.
AS_GOOD = 0.95


class Outcome(enum.Enum):
    """How a run ended."""

    ILL = "ill"
    WELL = "well"
    UNKNOWN = "unknown"  # a healthy program that did not learn on this seed


def outcome(program, plain, twin=None):
    """How the untreated run of a program ended.

    Args:
        program: a `Program`.
        plain: its untreated `Record`.
        twin: that of its twin on the same seed, for a faulty program.

    Returns:
        `Outcome`.
    """
    if twin is not None:
        worse = twin.skill - plain.skill >= WORSE
        return Outcome.ILL if worse or not plain.finite else Outcome.WELL
    if program.kind in (HEALTHY, TWIN):
        learnt = plain.finite and plain.skill >= program.least
        return Outcome.WELL if learnt else Outcome.UNKNOWN
    return Outcome.UNKNOWN


def rescued(treated, twin):
    """Whether a treated run ended as good as its twin."""
    return treated.ran and treated.finite and treated.skill >= AS_GOOD * twin.skill
