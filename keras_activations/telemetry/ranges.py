"""Histogram ranges: which values the bins of each layer span.

A known activation keeps the range of its outputs. The others follow the data.
"""

import math

import numpy as np

LEAST_WIDTH = 1e-12


def settled(ranges, extremes):
    """Gives layers without a range (NaN) that of what they have put out.

    Args:
        ranges: shape `(layers, 2)`.
        extremes: shape `(replicas, layers, 2)`: least and greatest finite value.

    Returns:
        array of shape `(layers, 2)`; NaN stays where nothing finite was seen, or
        where the width is beyond float64.
    """
    low, high = extremes[..., 0].min(axis=0), extremes[..., 1].max(axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        # Constant outputs need a width too.
        scale = np.maximum(np.abs(low), np.abs(high))
        width = np.maximum(np.maximum(high - low, 1e-6 * scale), LEAST_WIDTH)
        seen = np.stack([low, low + width], axis=1)
    usable = np.isnan(ranges) & np.isfinite(seen).all(axis=1, keepdims=True)
    return np.where(usable, seen, ranges)


def next_ranges(reading):
    """Histogram ranges for the next window, shape `(sampled layers, 2)`.

    Known activations keep theirs. The others follow the bulk of what was seen, in
    steps of two, so that a chart over time does not jump at every window.
    """
    ranges = reading.ranges.copy()
    for row, entry, counts in zip(
        ranges, reading.layout.sampled, reading.histograms, strict=True
    ):
        fixed = entry.region is not None and entry.region.histogram is not None
        if fixed or not counts.sum():
            continue
        low, width = row[0], row[1] - row[0]
        least = max(1e-6 * np.abs(row).max(), LEAST_WIDTH)
        floor = entry.region.lower if entry.region is not None else -math.inf
        outside = max(counts[0], counts[-1]) / counts.sum()
        occupied = np.flatnonzero(counts > 0.001 * counts.sum())
        narrow = occupied[-1] - occupied[0] < len(counts) // 4
        widest = np.finfo(float).max / 4  # beyond it the next range would overflow
        if outside > 0.05 and width < widest and not _floor_spike(counts, low, floor):
            row[:] = low - width / 2, low + 1.5 * width
        elif narrow and width / 2 > least:
            centre = low + width * (occupied[0] + occupied[-1] + 1) / 2 / len(counts)
            row[:] = centre - width / 4, centre + width / 4
        row[0] = max(row[0], floor)
        row[1] = max(row[1], row[0] + least)
    return ranges


def _floor_spike(counts, low, floor):
    # Rectified outputs pile up at their lower bound: that is no sign of a range too
    # narrow.
    return low <= floor + 1e-9 and counts[-1] <= 0.05 * counts.sum()
