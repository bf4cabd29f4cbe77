"""The scalars written for every layer and weight, each with its meaning."""

from collections.abc import Callable
from typing import NamedTuple


class Measure(NamedTuple):
    """One scalar written for every layer, or for every trainable weight.

    Attributes:
        tag: the tag is this and the path of the layer or weight.
        meaning: what it is, for the glossary in the run's summary.
        read: function of a `LayerStats` or `WeightStats`; None writes nothing.
        chart: title of the chart that holds all layers; None for no chart.
    """

    tag: str
    meaning: str
    read: Callable
    chart: str | None = None


def _dead_share(stats):
    if stats.dead is None or not stats.units:
        return None
    return stats.dead_units / stats.units


LAYER_MEASURES = (
    Measure(
        "saturation",
        "share of outputs on a flat, bounded side of the activation, 0 to 1",
        lambda stats: stats.saturation,
        "Saturation (share of outputs, 0 to 1)",
    ),
    Measure(
        "dead_units",
        "share of units at their floor for a whole window, 0 to 1",
        _dead_share,
        "Dead units (share of units, 0 to 1)",
    ),
    Measure(
        "zeros",
        "share of outputs exactly zero, 0 to 1; high is normal for ReLU",
        lambda stats: stats.zero_fraction,
        "Zeros (share of outputs, 0 to 1)",
    ),
    Measure(
        "nonfinite",
        "number of NaN and infinite outputs in the window, must be 0",
        lambda stats: stats.nan_count + stats.inf_count,
        "NaN and infinite outputs (number in the window)",
    ),
    Measure(
        "gradient_norm",
        "L2 norm over the gradients of the layer's weights",
        lambda stats: stats.gradient_norm,
        "Gradient norm (L2)",
    ),
    Measure(
        "update_ratio",
        "size of the last update relative to the weight, often near 0.001",
        lambda stats: stats.update_ratio,
        "Update ratio (update / weight)",
    ),
    Measure("weight_norm", "L2 norm over the layer's weights", lambda s: s.weight_norm),
    Measure("mean", "mean of the finite outputs", lambda stats: stats.mean),
    Measure("std", "standard deviation of the finite outputs", lambda s: s.std),
    Measure("min", "least finite output", lambda stats: stats.min),
    Measure("max", "greatest finite output", lambda stats: stats.max),
)

WEIGHT_MEASURES = (
    Measure(
        "nonfinite_gradient_by_weight",
        "number of NaN and infinite gradient entries in the window, must be 0",
        lambda weight: weight.gradient_nan_count + weight.gradient_inf_count,
        "NaN and infinite gradients (number in the window)",
    ),
    Measure(
        "gradient_norm_by_weight",
        "greatest L2 norm of the weight's gradient in the window",
        lambda weight: weight.gradient_norm,
    ),
)
