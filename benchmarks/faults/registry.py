"""All programs by name."""

import fnmatch

from benchmarks.faults import (
    dead,
    exploding,
    healthy_dense,
    healthy_structures,
    healthy_trained,
    nonfinite,
    saturation,
    saturation_elsewhere,
    unclaimed,
    vanishing,
)
from benchmarks.faults.families import split_of

_FAULTY = (saturation, saturation_elsewhere, vanishing, dead, exploding, nonfinite)
_OTHERS = (unclaimed, healthy_dense, healthy_trained, healthy_structures)


def _by_name(programs):
    named = {}
    for program in programs:
        if program.name in named:
            raise ValueError(f"Two programs have the name {program.name!r}")
        named[program.name] = program
    return named


PROGRAMS = _by_name(
    program
    for module in (*_FAULTY, *_OTHERS)
    for program in (*getattr(module, "TWINS", ()), *module.PROGRAMS)
)


def select(pattern="*", split="all"):
    """Programs whose name matches a glob pattern, with the twins that they need.

    Args:
        pattern: glob pattern, or several with commas between.
        split: "tune", "holdout" or "all".

    Returns:
        list of `Program`, twins first.

    Raises:
        ValueError: if there is none.
    """
    patterns = pattern.split(",")
    chosen = [
        program
        for program in PROGRAMS.values()
        if any(fnmatch.fnmatchcase(program.name, part) for part in patterns)
        and split in ("all", split_of(program.family))
    ]
    if not chosen:
        raise ValueError(
            f"No program of the split {split!r} has a name that matches. "
            f"Received: {pattern!r}"
        )
    twins = {program.twin: PROGRAMS[program.twin] for program in chosen if program.twin}
    return [*twins.values(), *(p for p in chosen if p.name not in twins)]
