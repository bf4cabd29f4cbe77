"""The command `python -m benchmarks numerics`."""

import pathlib

import numpy as np
import tensorflow as tf

from benchmarks import environment
from benchmarks.numerics import fused
from benchmarks.numerics.inputs import inputs, usual
from benchmarks.numerics.measuring import KERAS, OURS, errors, value_and_gradient
from benchmarks.numerics.ulps import TYPES

SUMMARY = "how exact the activations are, beside Keras's"
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "numerics.md"
DESCRIPTION = f"""\
Measures value and gradient of each activation in each float type, XLA off and on, against
SciPy and mpmath, and prints the errors as Markdown. Without options everything is measured,
and {RESULTS.relative_to(RESULTS.parents[2])} is written."""
NAMES = {
    "clipped_tanh": ("`clipped_tanh`", "`tanh(clip(x))`"),
    "relu6": ("`relu6`", "`relu6`"),
    "hard_swish": ("`hard_swish`", "`hard_silu`"),
    "gelu": ("`stable_gelu`", "`gelu`"),
    "gelu_tanh": ("`stable_gelu(approximate=True)`", "`gelu(approximate=True)`"),
}
HEAD = """\
# Numerics

How far value and gradient are off, in units in the last place (ulps) of the true value
rounded to the type: largest / 99th percentile. Written by `python -m benchmarks numerics`.

The largest is that of all finite float16 and bfloat16, and of {dense} float32 and {few} float64
from the smallest to the largest of the type, kinks and their neighbours among them. The
percentile is that of the inputs between 2^-10 and 16 in size, where those of a layer mostly
are. NaN: a finite input gave NaN or Inf. Within 0.3 of the zero of a derivative (GELU's at
-0.75, hard-swish's at -1.5) the unit is that of 0.1. Left out: true values below 1024 times the
smallest normal number, and subnormal inputs, except in float16. References: SciPy in float64;
mpmath in 60 digits for float64.

"""
FEW = 4000  # mpmath takes its time


def add_arguments(parser):
    parser.add_argument("--functions", nargs="+", choices=OURS)
    parser.add_argument("--types", nargs="+", choices=TYPES)
    parser.add_argument("--xla", nargs="+", choices=["off", "on"])
    parser.add_argument("--dense", type=int, help="how many float32")
    parser.add_argument("--write", type=pathlib.Path, metavar="PATH")


def run(options):
    """Measures, prints and perhaps writes.

    Args:
        options: what `add_arguments` describes.
    """
    asked = (options.functions, options.types, options.xla, options.dense)
    path = options.write or (RESULTS if not any(asked) else None)
    dense = options.dense or 200_000
    few = min(FEW, dense)
    text = HEAD.format(dense=dense, few=few) + environment.describe() + "\n"
    print(text, end="", flush=True)
    for setting in options.xla or ["off", "on"]:
        lines = [
            f"\n### XLA {setting}\n",
            "| ours | type | value | gradient | Keras's | value | gradient |",
            "|---|---|---|---|---|---|---|",
        ]
        for name in options.functions or OURS:
            for dtype in options.types or TYPES:
                x = inputs(dtype, few if dtype == "float64" else dense)
                lines.append(_row(name, dtype, x, setting == "on"))
        section = "\n".join(lines) + "\n"
        print(section, end="", flush=True)
        text += section
    if "gelu" in (options.functions or OURS):
        section = fused.section(few)
        print(section, end="", flush=True)
        text += section
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _row(name, dtype, x, xla):
    cells = [NAMES[name][0], dtype]
    for functions in (OURS, KERAS):
        run = value_and_gradient(functions[name], xla)
        computed = (tf.cast(part, "float64").numpy() for part in run(tf.cast(x, dtype)))
        found = errors(name, *computed, x, dtype)
        cells += [_cell(found.value, x), _cell(found.gradient, x)]
        if functions is OURS:
            cells.append(NAMES[name][1])
    return f"| {' | '.join(cells)} |"


def _cell(error, x):
    usually = np.nanpercentile(error[usual(x)], 99)
    return f"{_number(np.nanmax(error))} / {_number(usually)}"


def _number(value):
    if np.isinf(value):
        return "NaN"
    return f"{value:.2f}" if value < 100 else f"{value:.3g}"
