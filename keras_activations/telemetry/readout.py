"""From counters to statistics: what a `Reading` says about each layer."""

import dataclasses
import math

import numpy as np

from keras_activations.telemetry.counting import BINS, MOMENTS
from keras_activations.telemetry.layouts import OF_THE_BATCH, watched_units
from keras_activations.telemetry.stats import (
    Histogram,
    LayerStats,
    ValueStats,
    WeightStats,
)

_NONE = (0, 0)


@dataclasses.dataclass(frozen=True)
class Fault:
    """The first place where a step was not finite.

    Attributes:
        step: training step.
        where: `"output"`, `"loss"` or `"gradient"`.
        path: path of the layer, or of the weight whose gradient it is.
        nan_count, inf_count: NaN and infinite entries there in that step.
        batch_count: NaN and infinite entries of the batch itself.
        later: paths of the other places that were not finite in that step.
    """

    step: int
    where: str
    path: str
    nan_count: int
    inf_count: int
    batch_count: int
    later: tuple[str, ...]


def first_fault(reading):
    """The `Fault` of the first bad step since the last reset, or None.

    Forward before backward: layers in the order they ran, then the loss, then the
    gradients in the order they were computed, that is from the last layer to the
    first, since the fault lies where they first went bad.
    """
    step = int(reading.flags[0])
    if not step:
        return None
    counts = dict(zip(reading.layout.sources, reading.faults[1], strict=True))
    batch = counts.pop(("batch", "batch"))
    bad = [source for source, count in counts.items() if count.any()]
    forward = [source for source in bad if source[0] != "gradient"]
    order = forward + _backward(bad, reading.layout)
    where, path = order[0] if order else ("batch", "batch")
    nan_count, inf_count = counts[where, path] if order else batch
    return Fault(
        step=step,
        where=where,
        path=path,
        nan_count=int(nan_count),
        inf_count=int(inf_count),
        batch_count=int(batch.sum()),
        later=tuple(path for _, path in order[1:]),
    )


def _backward(bad, layout):
    """Gradients from the last layer to the first; a layer's weights in their order."""
    owners = {("gradient", weight.path): weight.layer for weight in layout.weights}
    last_first = dict.fromkeys(reversed(owners.values()))
    gradients = [source for source in bad if source in owners]
    return [s for layer in last_first for s in gradients if owners[s] == layer]


def layer_stats(reading, totals):
    """A dict of path to `LayerStats`, in execution order.

    Args:
        reading: a `Reading`.
        totals: dict of `Layout.sources` to the NaN and infinite entries of the window,
            where there are any.

    Layers that were not sampled have their non-finite counts and weights only;
    the owner of a weight that put out nothing itself comes last.
    """
    distributions = _distributions(reading)
    weights = _weights(reading, totals)
    stats = {}
    for entry in reading.layout.layers:
        nan_count, inf_count = totals.get(("output", entry.path), _NONE)
        stats[entry.path] = LayerStats(
            path=entry.path,
            activation=entry.activation,
            is_output=entry.is_output,
            limits=_limits(entry.region),
            units=entry.units,
            nan_count=int(nan_count),
            inf_count=int(inf_count),
            weights=tuple(weights.pop(entry.path, ())),
            **distributions.get(entry.path, {}),
        )
    for path, own in weights.items():
        stats[path] = LayerStats(path=path, weights=tuple(own))
    return stats


def batch_stats(reading):
    """What a window says of its batches, by the name in `Window`; see there."""
    rows = zip(OF_THE_BATCH, reading.batch, strict=True)
    found = {name: _values(row) for name, row in rows}
    loss = found["loss"]
    return found | {"loss": None if loss is None else loss.mean}


def _values(row):
    low, high, *sums = row.tolist()
    moments = dict(zip(MOMENTS, sums, strict=True))
    if not moments["count"]:
        return None
    mean, std = _mean_and_std(moments)
    return ValueStats(mean, std, min=low, max=high)


def _mean_and_std(moments):
    count = moments["count"]
    mean = moments["sum"] / count
    # Between samples the means differ; within one the squares are already centred.
    between = max(moments["squared_means"] - count * mean * mean, 0.0)
    return mean, math.sqrt((moments["centred_squares"] + between) / count)


def _limits(region):
    if region is None or not region.elementwise:
        return None
    limits = region.lower, region.upper
    return limits if any(map(math.isfinite, limits)) else None


def _distributions(reading):
    # Numbers of Python's own: those of an array take several times as long to work with.
    moments, extremes = reading.moments.tolist(), reading.extremes.tolist()
    low, high = reading.ranges.T
    edges = np.linspace(low, high, BINS + 1, axis=1)
    counts = reading.histograms.astype(np.int64)
    return {
        entry.path: _distribution(
            entry,
            dict(zip(MOMENTS, moments[row], strict=True)),
            alive,
            extremes[row],
            Histogram(edges=edges[row], counts=counts[row]),
        )
        for row, (entry, alive) in enumerate(
            zip(reading.layout.sampled, _alive_by_layer(reading), strict=True)
        )
        if moments[row][0]  # the count
    }


def _alive_by_layer(reading):
    widths = [watched_units(entry) for entry in reading.layout.sampled]
    if not widths:
        return []
    return np.split(reading.alive, np.cumsum(widths)[:-1])


def _distribution(entry, moments, alive, extremes, histogram):
    count = moments["count"]
    mean, std = _mean_and_std(moments)
    region = entry.region
    saturates = region is not None and (
        region.saturated_below is not None or region.saturated_above is not None
    )
    return {
        "count": int(count),
        "mean": mean,
        "std": std,
        "min": extremes[0],
        "max": extremes[1],
        "saturation_low": moments["low"] / count if saturates else None,
        "saturation_high": moments["high"] / count if saturates else None,
        "zero_fraction": moments["zeros"] / count,
        "dead": alive == 0 if len(alive) else None,
        "histogram": histogram,
    }


def _weights(reading, totals):
    found: dict[str, list[WeightStats]] = {}
    columns = reading.squares, reading.weights, reading.units, *reading.updates
    for entry, square, norm, unit, update, before, even in zip(
        reading.layout.weights, *(column.tolist() for column in columns), strict=True
    ):
        nan_count, inf_count = totals.get(("gradient", entry.path), _NONE)
        found.setdefault(entry.layer, []).append(
            WeightStats(
                path=entry.path,
                gradient_norm=None if square == -math.inf else math.sqrt(square),
                gradient_nan_count=int(nan_count),
                gradient_inf_count=int(inf_count),
                weight_norm=norm if reading.samples else None,
                update_ratio=math.sqrt(update / before) if before > 0 else None,
                mean_ratio=math.sqrt(even / before) if 0 < before < math.inf else None,
                shape=entry.shape,
                unit=unit,
            )
        )
    return found
