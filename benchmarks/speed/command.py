"""The command `python -m benchmarks speed`."""

import pathlib
import sys

import numpy as np

from benchmarks import environment
from benchmarks.numerics.command import NAMES
from benchmarks.speed.subjects import PLACES
from benchmarks.speed.timing import peaks, ratios

SUMMARY = "how fast the activations are beside Keras's, and their memory"
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "speed.md"
DESCRIPTION = f"""\
Times each activation against Keras's own, in turns in one process, and prints the ratios as
Markdown. Without options everything is measured, and {RESULTS.relative_to(RESULTS.parents[2])}
is written. Any option makes it a partial run, which is printed only, unless --write says where
to."""
TYPES = ("float32", "float16", "bfloat16")
HEAD = """\
# Speed

Time of ours over that of Keras's own function (clipped tanh: over `tanh(clip(x))`) on 4 million
elements: median (quartiles) of {rounds} rounds in turns. First the wall's clock, then the
processor's, which other work on the machine disturbs less. Below 1 ours is faster. Alone, and
as the activation of a `Dense(1024)` (64 inputs; 4 in half types, whose product would drown it
on a CPU) and a `Conv2D(32)`. Memory: what forward and backward add
to a fresh process's peak, alone, ours / Keras's, in megabytes. Written by
`python -m benchmarks speed`.

{environment}
"""


def add_arguments(parser):
    parser.add_argument("--functions", nargs="+", choices=NAMES)
    parser.add_argument("--types", nargs="+", choices=TYPES)
    parser.add_argument("--places", nargs="+", choices=PLACES)
    parser.add_argument("--xla", nargs="+", choices=["off", "on"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--write", type=pathlib.Path, metavar="PATH")


def run(options):
    """Measures, prints and perhaps writes.

    Args:
        options: what `add_arguments` describes.
    """
    asked = (options.functions, options.types, options.places, options.xla)
    path = options.write or (RESULTS if not any((*asked, options.rounds)) else None)
    rounds = options.rounds or 15
    text = HEAD.format(rounds=rounds, environment=environment.describe())
    print(text, end="", flush=True)
    for setting in options.xla or ["off", "on"]:
        lines = [
            f"\n### XLA {setting}\n",
            "| ours | type | where | forward | forward and backward | memory |",
            "|---|---|---|---|---|---|",
        ]
        for name in options.functions or NAMES:
            for dtype in options.types or TYPES:
                for place in options.places or PLACES:
                    print(f"{name}, {dtype}, {place}", file=sys.stderr, flush=True)
                    lines.append(_row(name, dtype, place, setting == "on", rounds))
        section = "\n".join(lines) + "\n"
        print(section, end="", flush=True)
        text += section
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _row(name, dtype, place, xla, rounds):
    cells = [NAMES[name][0], dtype, place]
    for backward in (False, True):
        wall, processor = ratios(name, place, dtype, xla, backward, rounds)
        cells.append(f"{_ratio(wall)}, {_ratio(processor)}")
    if place == "alone":
        added = peaks(name, dtype, xla)
        cells.append(f"{added['ours']:.0f} / {added['keras']:.0f}")
    else:
        cells.append("")
    return f"| {' | '.join(cells)} |"


def _ratio(ratios):
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
