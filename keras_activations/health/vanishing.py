"""The rule on vanishing gradients."""

import math

from keras_activations.health import anatomy, withering
from keras_activations.health.norms import gradient_norms, norm_ratios
from keras_activations.health.streaks import (
    check_patience,
    check_share,
    finding_at,
    look,
    report,
)
from keras_activations.health.weights import ALIKE, alike, kernels

_CLOSER = 30
_APART = "draw them at random around 0"
_HOLD = "keep the weights from shrinking"


class VanishingGradient:
    """A layer's gradient is lost beside that of the layer with the greatest one.

    Args:
        ratio: float in (0, 1), the layer's gradient norm over the greatest of all
            layers below which it is lost. Defaults to 1e-4.
        patience: int >= 1, consecutive windows before it is a finding.
            Defaults to 3. Two are enough that lie 30 steps apart where the ratio is
            a hundredth of that.
    """

    name = "vanishing_gradient"

    def __init__(self, ratio=1e-4, patience=3):
        self.ratio = check_share("ratio", ratio)
        self.patience = check_patience(patience)

    def thresholds(self):
        return {"gradient ratio": self.ratio, "windows": self.patience}

    @property
    def threshold(self):
        return self.ratio

    def judge(self, window, state):
        ratios, ill = self._ratios(window), self.ill(window)
        return report(self, window, state, ratios, ill, self._message)

    def ill(self, window):
        """The layers ill in this window, for however long: dict of path to ratio."""
        ill, others_learn = {}, False
        ratios = self._ratios(window)
        for path, ratio in ratios.items():
            # Exactly 0 behind layers that learn is a branch that was not taken, like an
            # expert that was not asked.
            taken = ratio > 0 or not others_learn
            if ratio < self.ratio and taken and not self._only_asks(path, ratios):
                ill[path] = ratio
            others_learn |= ratio >= self.ratio
        return ill

    def _only_asks(self, path, ratios):
        """Whether it is a query or key of an attention that learns.

        As long as all scores are alike hardly any gradient passes their softmax.
        """
        owner, _, name = path.rpartition("/")
        learns = ratios.get(f"{owner}/value", 0.0) >= self.ratio
        return name in ("query", "key") and learns

    def closer(self):
        """The same for runs that do not learn, see `closer.closer_look`."""
        return _Closer(min(_CLOSER * self.ratio, 1.0))

    def look(self, window, first):
        """Findings for layers ill in this window, and in the first one of the run."""
        return look(self, window, first, self._message)

    def extreme(self, ratio):
        """Whether a ratio is beyond doubt."""
        return ratio < self.ratio / 100

    def recovering(self, spell):
        """Whether to wait: ratios waver by more than a recovery would show."""
        return False

    def _ratios(self, window):
        return norm_ratios(window)

    def _message(self, stats, value):
        size = f"{value:.1e} of the greatest layer's" if value else "exactly 0"
        unbounded = stats.activation is not None and stats.saturation is None
        activations = "" if unbounded else "ReLU-like activations, "
        return (
            f"its gradient is {size}, so it hardly learns",
            f"use {activations}larger initial weights, normalisation or skip connections",
        )


class _Closer(VanishingGradient):
    """The first layer is judged by its kernel: inputs too small are lost to it alone.

    And so is what would tell the units of a layer apart, where their weights are alike,
    and any signal where all weights have withered.
    """

    def look(self, window, first):
        return (
            super().look(window, first)
            or self._units_alike(window, first)
            or self._withered(window, first)
        )

    def _units_alike(self, window, first):
        for path in anatomy.weighted(first):
            stats = window.layers.get(path)
            if stats is None or stats.is_output:
                continue
            value = min(_alike(first.layers[path]), _alike(stats))
            if value > ALIKE:
                units = kernels(stats)[0].shape[-1]
                seen = f"its weights are so alike that its {units} units"
                text = f"{seen} learn the same, and do the work of few: {_APART}."
                return [finding_at(self, window, path, value, ALIKE, text, _APART)]
        return []

    def _withered(self, window, first):
        share = withering.left(first, window)
        if share is None or not share < withering.SHRUNK:
            return []
        path, limit = anatomy.weighted(first)[0], withering.SHRUNK
        text = f"hardly any signal is left: {_HOLD}."
        return [finding_at(self, window, path, share, limit, text, _HOLD)]

    def _ratios(self, window):
        ratios = super()._ratios(window)
        path = next(iter(anatomy.weighted(window)), None)
        norms = [w.gradient_norm for w in kernels(window.layers[path])] if path else []
        whole = gradient_norms(window).get(path)
        if path in ratios and whole and None not in norms:
            ratios[path] *= math.hypot(*norms) / whole
        return ratios


def _alike(stats):
    return max((alike(weight) or 0.0 for weight in kernels(stats)), default=0.0)
