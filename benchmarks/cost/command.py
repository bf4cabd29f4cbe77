"""The command `python -m benchmarks cost`."""

import os
import pathlib
import sys
import tempfile

from benchmarks.cost import fresh, logged_bytes, steps, tables
from benchmarks.cost.networks import NETWORKS
from benchmarks.cost.ways import WAYS

SUMMARY = "what watching costs: step, first step, memory, bytes logged"
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "cost.md"
DESCRIPTION = f"""\
Trains networks that are watched in several ways, and prints as Markdown what each way
costs as a ratio to the bare training. Without options everything is measured, and
{RESULTS.relative_to(RESULTS.parents[2])} is written. Any option makes it a partial run,
which is printed only, unless --write says where to."""


def add_arguments(parser):
    parser.add_argument("--networks", nargs="+", choices=NETWORKS)
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, help="`bare` is always added"
    )
    parser.add_argument("--xla", nargs="+", choices=["off", "on"])
    parser.add_argument("--steps", type=int, help="in a round; a multiple of 50")
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--repeats", type=int, help="of a start in a fresh process; or 0"
    )
    parser.add_argument("--write", type=pathlib.Path, metavar="PATH")


def run(options):
    """Measures, prints and perhaps writes.

    Args:
        options: what `add_arguments` describes.
    """
    partial = any(getattr(options, name) is not None for name in _PARTIAL)
    path = options.write or (None if partial else RESULTS)
    text = tables.header()
    print(text, flush=True)
    for setting in options.xla or ["off", "on"]:
        xla = setting == "on"
        costs = {
            name: _cost(name, xla, options) if network.xla or not xla else None
            for name, network in NETWORKS.items()
            if name in (options.networks or NETWORKS)
        }
        section = tables.section(xla, costs, _rows(options))
        print(section, flush=True)
        text += "\n" + section
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


_PARTIAL = ("networks", "ways", "xla", "steps", "rounds", "repeats")


def _rows(options):
    return [way for way in WAYS if way in ("bare", *(options.ways or WAYS))]


def _cost(name, xla, options):
    """Measures one network; gives its `Cost`."""
    network = NETWORKS[name]
    # What is asked for by name is measured even where it takes long.
    wanted = options.ways or network.ways or WAYS
    ways = [
        way
        for way in WAYS
        if way in ("bare", *wanted) and (WAYS[way].compiles or not xla)
    ]
    length = options.steps or network.steps
    rounds = options.rounds or network.rounds
    repeats = network.repeats if options.repeats is None else options.repeats
    _report(name, xla, "steps")
    with tempfile.TemporaryDirectory() as folder:
        ratios = steps.measure(network, ways, xla, length, rounds, folder)
        logged = {way: logged_bytes.read(os.path.join(folder, way)) for way in ways}
    _report(name, xla, "fresh processes")
    started = fresh.measure(name, ways, xla, repeats) if repeats else None
    return tables.Cost(ratios, length, started, logged)


def _report(name, xla, doing):
    print(f"{name}, XLA {'on' if xla else 'off'}: {doing}", file=sys.stderr, flush=True)
