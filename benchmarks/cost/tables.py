"""What was measured, as Markdown: ratios and bytes, never a time."""

import dataclasses

import numpy as np

from benchmarks import environment
from benchmarks.cost.fresh import STEPS, Fresh
from benchmarks.cost.logged_bytes import Logged
from benchmarks.cost.networks import BATCH, NETWORKS
from benchmarks.cost.ways import WAYS


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network costs, watched in several ways, under one XLA setting.

    Attributes:
        steps: dict of way to array of ratios to the bare step, one a round.
        steps_per_round: int.
        fresh: `Fresh`, or None when nothing was started anew.
        logged: dict of way to `Logged` or None.
    """

    steps: dict[str, np.ndarray]
    steps_per_round: int
    fresh: Fresh | None
    logged: dict[str, Logged | None]


def header():
    """What it is, when, where and with what it was measured."""
    return f"""\
# What watching costs

Measured by `python -m benchmarks cost`, each way as a ratio to the bare training of the same
network. Batch {BATCH}, Adam, noise as data; an epoch is a round.

{environment.describe()}
"""


def section(xla, costs, ways):
    """The tables of one XLA setting, a row for each way, a column for each network.

    Args:
        xla: bool.
        costs: dict of key of `NETWORKS` to `Cost`, or None where it is left out.
        ways: keys of `WAYS`, in the order of the rows.

    Returns:
        str.
    """
    measured = {name: cost for name, cost in costs.items() if cost}
    tracing = [way for way in ways if WAYS[way].traces_as is None]
    logging = [
        way for way in ways if any(cost.logged.get(way) for cost in measured.values())
    ]
    rounds = ", ".join(
        f"{len(cost.steps['bare'])} of {cost.steps_per_round} steps ({name})"
        for name, cost in measured.items()
    )

    def table(read, rows):
        lines = [["", *(NETWORKS[name].text for name in costs)]]
        lines.append(["---"] * len(lines[0]))
        for way in rows:
            cells = [_cell(read, cost, way, xla) for cost in costs.values()]
            lines.append([WAYS[way].text, *cells])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    return f"""\
## XLA {"on" if xla else "off"}

### A step

The time of a step as a ratio to the bare steps right before and after: median (quartiles)
of the rounds. The row of the bare step shows the noise. Rounds:
{rounds}. A fifth of the steps is enough for ways that cost the same at each.

{table(_step, ways)}

### Until the first step is done

The time from the call of `fit` to the end of its first step, with tracing and compiling,
as a ratio to the bare way: median (least to greatest) of fresh processes. What is not
listed here traces the same step as one of these.

{table(_first_step, tracing)}

### Memory

The greatest size of a fresh process, Python and TensorFlow included, in its first
{STEPS} steps: the ratio to the bare way and the difference, medians.

{table(_memory, ways)}

### Logged

Bytes of one histogram, and in brackets all bytes of the event files for each histogram in
them. The monitor writes one for each activation every `every` steps, `tf.summary.histogram`
at each step; Keras writes one for each weight, every epoch.

{table(_logged, logging)}

—¹ does not compile under XLA. —² not measured: left out, or takes too long for what it
would tell.
"""


def _cell(read, cost, way, xla):
    """Text of a cell; `read` gives it from a `Cost` and a way, or None."""
    if xla and not WAYS[way].compiles:
        return "—¹"
    return (cost and way in cost.steps and read(cost, way)) or "—²"


def _step(cost, way):
    low, middle, high = np.percentile(cost.steps[way], [25, 50, 75])
    return f"{_ratio(middle)} ({_ratio(low)} to {_ratio(high)})"


def _first_step(cost, way):
    if cost.fresh is None:
        return None
    ratios = cost.fresh.first_step[way]
    if way == "bare" or len(ratios) == 1:
        return _ratio(np.median(ratios))
    return (
        f"{_ratio(np.median(ratios))} ({_ratio(min(ratios))} to {_ratio(max(ratios))})"
    )


def _memory(cost, way):
    if cost.fresh is None:
        return None
    bare, peak = (np.median(cost.fresh.peak[name]) for name in ("bare", way))
    if way == "bare":
        return f"1 ({bare:.0f} MB)"
    return f"{_ratio(peak / bare)} ({peak - bare:+.0f} MB)"


def _logged(cost, way):
    logged = cost.logged[way]
    return logged and f"{logged.histogram:.0f} ({logged.total:.0f})"


def _ratio(value):
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"
