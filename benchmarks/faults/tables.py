"""Scores as Markdown: counts, seeds and spread."""

import statistics

from benchmarks import environment
from benchmarks.faults import scoring
from benchmarks.faults.families import HOLD_OUT, TUNE, split_of
from benchmarks.faults.listing import listing
from benchmarks.faults.program import HEALTHY, TWIN, UNCLAIMED
from benchmarks.faults.running import EVERY

KINDS = (
    "saturation",
    "vanishing_gradient",
    "dead_units",
    "exploding_gradient",
    "nonfinite",
)
NAMES = {
    "monitor": "the monitor",
    "autotrainer": "AutoTrainer",
    "deep_diagnosis": "DeepDiagnosis",
    "terminate_on_nan": "TerminateOnNaN",
    "check_numerics": "`enable_check_numerics`",
}
TREATED = ("none", "warn", "stop", "clip", "rescue")
COSTS = ("seconds", "later_seconds")


def page(programs, records):
    """The whole page.

    Args:
        programs: dict of name to `Program`.
        records: list of `Record`.

    Returns:
        str.
    """
    known = scoring.cases(programs, records)
    parts = {
        TUNE: [case for case in known if split_of(case.program.family) == TUNE],
        HOLD_OUT: [case for case in known if split_of(case.program.family) == HOLD_OUT],
    }
    seeds = sorted({case.seed for case in known})
    text = f"""\
# The ward

Measured by `python -m benchmarks faults`, seeds {", ".join(map(str, seeds))}, a
sample every {EVERY} steps. A run is ill when it ended with ten points less accuracy (or
variance explained) than its twin on the same seed, or not finite. A cell gives the share
of all cases, how many they are, and in brackets the least and the greatest share of a
seed. Of several findings the first counts. "-": there was none to judge.

{environment.describe()}

## What was run

{_counts(known)}

## Found

Of the ill runs: found at all, under the right rule, in the right layer and with the right cause
(where these are known); of the healthy ones: flagged. How late: steps after the first value that
was not finite (mean), and for the other faults the share of the training (mean). The peers
look on at the runs of the monitor; `enable_check_numerics`, which cannot, was run on programs that
may give NaN or Inf and on the healthy ones.

"""
    for part, chosen in parts.items():
        text += f"### {_title(part)}\n\n{_found(chosen)}\n\n"
    text += f"## Found, by kind\n\n{_by_kind(parts)}\n\n"
    text += f"## Not to be claimed\n\n{_unclaimed(known)}\n\n"
    text += f"## Healed\n\n{_healed(parts)}\n\n"
    return text + f"## Case by case\n\n{listing(known, records)}\n"


def _title(part):
    return "Families tuned on" if part == TUNE else "Families held out"


def _counts(known):
    rows = [["", "programs", "cases", "ill", "well", "unknown"]]
    for kind in (*KINDS, UNCLAIMED, HEALTHY, TWIN):
        chosen = [case for case in known if case.program.kind == kind]
        names = {case.program.name for case in chosen}
        outcomes = [case.outcome.value for case in chosen]
        counts = [outcomes.count(label) for label in ("ill", "well", "unknown")]
        rows.append([kind, len(names), len(chosen), *counts])
    same = scoring.rate(
        (case.seed, case.treated["warn"].weights == case.treated["none"].weights)
        for case in known
        if "warn" in case.treated and "none" in case.treated
    )
    rescued = scoring.rate(
        (case.seed, case.treated["rescue"].weights == case.treated["none"].weights)
        for case in scoring.well(known, HEALTHY)
        if "rescue" in case.treated and "none" in case.treated
    )
    return f"""\
{table(rows)}

Ended with the weights of the plain run, to the bit: {_count(same)} under `warn`; of the healthy
programs {_count(rescued)} under `rescue`."""


def _found(known):
    faulty, healthy = scoring.ill(known), scoring.well(known, HEALTHY)
    twins = scoring.well(known, TWIN)
    head = ["", "found", "rule", "layer", "cause", "steps late", "share late"]
    rows = [[*head, "healthy flagged", "twins flagged"]]
    for detector, name in NAMES.items():
        pairs = [(case.seed, scoring.judge(case, detector)) for case in faulty]
        verdicts = [(seed, verdict) for seed, verdict in pairs if verdict]
        cells = [
            cell(scoring.rate((seed, getattr(v, field)) for seed, v in verdicts))
            for field in ("found", "kind", "layer", "cause")
        ]
        late = [
            [v for _, verdict in verdicts if (v := getattr(verdict, field)) is not None]
            for field in ("steps_late", "share_late")
        ]
        cells.append(f"{statistics.mean(late[0]):.1f}" if late[0] else "-")
        cells.append(f"{statistics.mean(late[1]):.0%}" if late[1] else "-")
        for chosen in (healthy, twins):
            flags = ((case.seed, scoring.flagged(case, detector)) for case in chosen)
            cells.append(cell(scoring.rate(flags)))
        rows.append([name, *cells])
    return table(rows)


def _by_kind(parts):
    rows = [["", *NAMES.values()]]
    for part, known in parts.items():
        for kind in KINDS:
            chosen = scoring.ill(known, (kind,))
            cells = []
            for detector in NAMES:
                verdicts = [(c.seed, scoring.judge(c, detector)) for c in chosen]
                found = scoring.rate((seed, v.found) for seed, v in verdicts if v)
                cells.append(cell(found))
            rows.append([f"{kind}, {part}", *cells])
    return table(rows)


def _unclaimed(known):
    chosen = [case for case in known if case.program.kind == UNCLAIMED]
    rows = [["", "flagged"]]
    for detector, name in NAMES.items():
        flags = ((case.seed, scoring.flagged(case, detector)) for case in chosen)
        rows.append([name, cell(scoring.rate(flags))])
    return table(rows)


def _healed(parts):
    rows = [["", "all ill runs", "rescuable ones", "cost", "cost after an epoch"]]
    for part, known in parts.items():
        chosen = scoring.ill(known)
        for treatment in TREATED:
            healed = [(case, scoring.healed(case, treatment)) for case in chosen]
            every = scoring.rate((case.seed, answer) for case, answer in healed)
            some = scoring.rate(
                (case.seed, answer) for case, answer in healed if case.program.rescuable
            )
            costs = ["-", "-"]
            if treatment in ("clip", "rescue"):
                costs = [_costs(chosen, treatment, f) for f in COSTS]
            rows.append([f"{treatment}, {part}", cell(every), cell(some), *costs])
    return f"""\
Ended within 5 % of the twin's skill in the same number of epochs. The cost is the processor time of
`fit` as a ratio to that of the plain run, median (quartiles): of the whole, and of what comes after
the first epoch. The whole of these short runs is mostly the tracing of the step. What a treatment
was refused for is not counted; the refusals are listed below. The peers do not treat: at best they
stop, see there.

{table(rows)}"""


def _costs(chosen, treatment, field):
    values = (scoring.cost(case, treatment, field) for case in chosen)
    return _spread([value for value in values if value is not None])


def _spread(values):
    if len(values) < 2:
        return "-"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def cell(rate):
    """A `Rate` as text."""
    if rate is None:
        return "-"
    share = rate.hits / rate.count
    spread = f"{100 * rate.least:.0f} to {100 * rate.most:.0f}"
    return f"{share:.1%} of {rate.count} ({spread})"


def _count(rate):
    return "-" if rate is None else f"{rate.hits} of {rate.count}"


def table(rows):
    """Rows of cells, the first of them the head, as a Markdown table."""
    rows = [[str(value) for value in row] for row in rows]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
