"""What one window of training says about one layer, on the host."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of equal width.

    Values outside the range are counted in the end bins, so that the counts
    always add up to the number of finite values looked at.

    Attributes:
        edges: float64 array of shape `(bins + 1,)`, finite and increasing.
        counts: int64 array of shape `(bins,)`.
    """

    edges: np.ndarray
    counts: np.ndarray

    def quantile(self, q):
        """The value below which a share `q` of the counts lies.

        Linear inside a bin, so it is exact to one bin's width.

        Args:
            q: float in [0, 1].

        Returns:
            float, or None when the histogram is empty.

        Raises:
            ValueError: if `q` lies outside [0, 1].

        Example:

        >>> histogram = Histogram(np.array([0.0, 1.0, 2.0]), np.array([3, 1]))
        >>> histogram.quantile(0.75)
        1.0
        """
        if not 0 <= q <= 1:
            raise ValueError(f"`q` must lie in [0, 1]. Received: q={q}")
        occupied = np.flatnonzero(self.counts)
        if not len(occupied):
            return None
        cumulative = np.cumsum(self.counts[occupied])
        wanted = q * cumulative[-1]
        place = int(np.searchsorted(cumulative, wanted))
        bin_ = occupied[place]
        within = 1 - (cumulative[place] - wanted) / self.counts[bin_]
        left, right = self.edges[bin_ : bin_ + 2]
        return float(left + within * (right - left))


@dataclasses.dataclass(frozen=True)
class WeightStats:
    """One trainable weight and its gradient in one window.

    Attributes:
        path: the variable's `path`.
        gradient_norm: greatest L2 norm of the gradient over the window's
            steps. None when no gradient reached the weight.
        gradient_nan_count: NaN entries of the gradient, all steps of the window.
        gradient_inf_count: infinite entries of the gradient, likewise.
        weight_norm: L2 norm of the weight after the window's last sample.
        update_ratio: L2 norm of the last sampled update over that of the
            weight before it, from about 2048 entries spread over the weight.
        mean_ratio: size of the mean of those entries before the update over their root
            mean square, in [0, 1]: 1 where all are the same, and near 0 for an
            initialiser that draws around 0.
        shape: the variable's shape.
        unit: the norm of what is learnt of it in units of its own: 1 unless `"rescue"`
            makes updates as though data were standardised. Then `update_ratio` is that
            of what is learnt.
    """

    path: str
    gradient_norm: float | None = None
    gradient_nan_count: int = 0
    gradient_inf_count: int = 0
    weight_norm: float | None = None
    update_ratio: float | None = None
    mean_ratio: float | None = None
    shape: tuple[int, ...] = ()
    unit: float = 1.0


@dataclasses.dataclass(frozen=True)
class LayerStats:
    """One layer in one window. What does not apply to a layer is None.

    Attributes:
        path: the layer's `path`.
        activation: name of the activation function, e.g. `"tanh"`.
        is_output: whether the layer's output is an output of the model.
        limits: range of the activation, where it is bounded on one side at least and
            each output depends on one input only.
        count: finite output values looked at (a sample of the window's).
        mean, std, min, max: moments and extremes of those values.
        saturation_low, saturation_high: shares of values on a flat, bounded
            side of the activation, in [0, 1].
        zero_fraction: share of values exactly zero, in [0, 1].
        units: size of the last axis of the output.
        dead: boolean array of shape `(units,)`: the unit was at the floor of
            its activation for every value looked at.
        nan_count, inf_count: NaN and infinite output values in *every* step
            of the window, exact.
        histogram: `Histogram` of the values.
        weights: a `WeightStats` for each trainable weight of the layer.
    """

    path: str
    activation: str | None = None
    is_output: bool = False
    limits: tuple[float, float] | None = None
    count: int = 0
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    saturation_low: float | None = None
    saturation_high: float | None = None
    zero_fraction: float | None = None
    units: int | None = None
    dead: np.ndarray | None = None
    nan_count: int = 0
    inf_count: int = 0
    histogram: Histogram | None = None
    weights: tuple[WeightStats, ...] = ()

    @property
    def saturation(self):
        """Share of values on either flat, bounded side, in [0, 1]."""
        if self.saturation_low is None or self.saturation_high is None:
            return None
        return self.saturation_low + self.saturation_high

    @property
    def dead_units(self):
        """Number of dead units."""
        return None if self.dead is None else int(self.dead.sum())

    @property
    def gradient_norm(self):
        """L2 norm over the gradients of all trainable weights."""
        return _norm(weight.gradient_norm for weight in self.weights)

    @property
    def weight_norm(self):
        """L2 norm over all trainable weights."""
        return _norm(weight.weight_norm for weight in self.weights)

    @property
    def update_ratio(self):
        """Greatest relative change of a weight in the last sampled update."""
        ratios = [w.update_ratio for w in self.weights if w.update_ratio is not None]
        return max(ratios, default=None)

    def quantile(self, q):
        """The output value below which a share `q` of the outputs lies.

        See `Histogram.quantile`. The answer never lies outside what was seen.
        """
        value = self.histogram.quantile(q) if self.histogram else None
        if value is None or self.min is None:
            return value
        return min(max(value, self.min), self.max)


@dataclasses.dataclass(frozen=True)
class ValueStats:
    """The floating values of the inputs or of the targets, sampled in one window.

    Attributes:
        mean, std, min, max: moments and extremes of the finite ones.
    """

    mean: float
    std: float
    min: float
    max: float


@dataclasses.dataclass(frozen=True)
class Window:
    """The steps between two reads of the counters.

    Attributes:
        step: last training step of the window, the first of a run is 1.
        epoch: epoch of that step, from 0.
        samples: steps of the window whose distributions were sampled.
        layers: dict of layer path to `LayerStats`, in execution order.
        inputs: `ValueStats` of the model's floating inputs, None where it has none or
            where they are not known, as in a loop by hand.
        targets: those of the targets, likewise.
        loss: mean over the sampled steps, None where it is not known.
    """

    step: int
    epoch: int
    samples: int
    layers: dict[str, LayerStats]
    inputs: ValueStats | None = None
    targets: ValueStats | None = None
    loss: float | None = None


def _norm(norms):
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None
