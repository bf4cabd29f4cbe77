"""The command `python -m benchmarks faults`."""

import pathlib
import sys

from benchmarks.faults import tables, version
from benchmarks.faults.cache import DEFAULT, Cache
from benchmarks.faults.peers import CheckNumerics
from benchmarks.faults.pool import run_all
from benchmarks.faults.program import HEALTHY, TWIN
from benchmarks.faults.registry import PROGRAMS, select
from benchmarks.faults.running import TREATMENTS

SUMMARY = "what is found and healed in runs that fall ill, and in ones that do not"
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "faults.md"
DESCRIPTION = f"""\
Trains the programs of the ward, faulty ones, their twins and healthy ones, under each
treatment, and prints as Markdown what was found and healed. Runs are kept in the cache,
and an interrupted ward goes on where it was. Without options everything is run, and
{RESULTS.relative_to(RESULTS.parents[2])} is written. Any choice of programs, seeds or
treatments makes it a partial run, which is printed only, unless --write says where to."""

SEEDS = 5


def add_arguments(parser):
    parser.add_argument(
        "--programs", metavar="GLOB", help="several with commas between"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N - 1")
    parser.add_argument("--split", choices=["tune", "holdout", "all"])
    parser.add_argument("--treatments", nargs="+", choices=TREATMENTS)
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--cache", type=pathlib.Path, default=DEFAULT, metavar="PATH")
    parser.add_argument(
        "--any-code",
        action="store_true",
        help="take runs from the cache that were made with other versions of the code",
    )
    parser.add_argument("--write", type=pathlib.Path, metavar="PATH")


def run(options):
    """Trains what is not in the cache, scores, prints and perhaps writes.

    Args:
        options: what `add_arguments` describes.
    """
    partial = any(getattr(options, name) is not None for name in _PARTIAL)
    path = options.write or (None if partial else RESULTS)
    programs = select(options.programs or "*", options.split or "all")
    cache = Cache(options.cache, None if options.any_code else version.code())
    treatments = options.treatments or TREATMENTS
    jobs = _jobs(programs, range(options.seeds or SEEDS), treatments)
    known = cache.records()
    waiting = [job for job in jobs if job not in known]
    for number, (record, windows) in enumerate(run_all(waiting, options.jobs), 1):
        cache.add(record, windows)
        _report(number, len(waiting), record)
    known = cache.records()
    text = tables.page(PROGRAMS, [known[job] for job in jobs])
    print(text, flush=True)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


_PARTIAL = ("programs", "seeds", "split", "treatments")


def _jobs(programs, seeds, treatments):
    """Runs in an order in which a half-done ward is a smaller ward."""
    return [
        (program.name, seed, treatment)
        for seed in seeds
        for treatment in TREATMENTS
        for program in programs
        if treatment in treatments and _makes_sense(program, treatment)
    ]


def _makes_sense(program, treatment):
    if program.kind == TWIN:  # it is there to be compared with
        return treatment in ("none", "warn")
    if program.kind == HEALTHY:  # under "rescue" it must stay as it is
        return treatment not in ("stop", "clip")
    # The checks see nothing else, and double the time of a run.
    return treatment != CheckNumerics.name or "nonfinite" in program.answers


def _report(number, count, record):
    state = record.error or record.refused or f"skill {record.skill:.2f}"
    line = f"{number}/{count} {' '.join(map(str, record.key))}: {state}"
    print(line, file=sys.stderr, flush=True)
