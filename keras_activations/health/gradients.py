"""Rules on gradients: vanishing and exploding."""

import math
import statistics
from typing import NamedTuple

from keras_activations.health.streaks import (
    check_patience,
    check_share,
    finding_at,
    report,
)


class VanishingGradient:
    """A layer's gradient is lost beside that of the layer with the greatest one.

    Args:
        ratio: float in (0, 1), the layer's gradient norm over the greatest of all
            layers below which it is lost. Defaults to 1e-4.
        patience: int >= 1, consecutive windows before it is a finding.
            Defaults to 3.
    """

    name = "vanishing_gradient"

    def __init__(self, ratio=1e-4, patience=3):
        self.ratio = check_share("ratio", ratio)
        self.patience = check_patience(patience)

    def thresholds(self):
        return {"gradient ratio": self.ratio, "windows": self.patience}

    def judge(self, window, state):
        norms = _gradient_norms(window)
        greatest = max(norms.values(), default=0.0)
        ratios = {}
        if greatest > 0 and math.isfinite(greatest):
            ratios = {path: norm / greatest for path, norm in norms.items()}
        lost, message = self.ratio, self._message
        return report(self, window, state, ratios, lost.__gt__, lost, message)

    def _message(self, stats, value):
        size = f"{value:.1e} of the greatest layer's" if value else "exactly 0"
        return (
            f"its gradient is {size}, so it hardly learns",
            "use ReLU-like activations, larger initial weights, normalisation or skip "
            "connections",
        )


class Norms(NamedTuple):
    """What the rule of exploding gradients remembers.

    Attributes:
        past: norms of all gradients together in the last healthy windows.
        reported: path of the layer with the greatest share of an explosion that
            goes on.
    """

    past: tuple[float, ...] = ()
    reported: frozenset = frozenset()


class ExplodingGradient:
    """The gradient leaps far above what this run has shown, or any sane size.

    Args:
        factor: float > 1, how many times the median norm of the last windows is
            too much. Defaults to 100.
        floor: float > 0, a norm below which nothing is an explosion.
            Defaults to 100.
        limit: float > 0, a norm that is always one. Defaults to 1e8.
        history: int >= 3, windows remembered. Defaults to 20.
    """

    name = "exploding_gradient"

    def __init__(self, factor=100.0, floor=100.0, limit=1e8, history=20):
        for option, value, least in (
            ("factor", factor, 1),
            ("floor", floor, 0),
            ("limit", limit, 0),
        ):
            if not (value > least and math.isfinite(value)):
                raise ValueError(
                    f"`{option}` must be a finite number greater than {least}. "
                    f"Received: {option}={value}"
                )
        if history < 3:
            raise ValueError(f"`history` must be >= 3. Received: history={history}")
        self.factor = float(factor)
        self.floor = float(floor)
        self.limit = float(limit)
        self.history = int(history)

    def thresholds(self):
        return {
            "times the usual norm": self.factor,
            "and above": self.floor,
            "or above": self.limit,
        }

    def judge(self, window, state):
        norms = _gradient_norms(window)
        past, reported = state or Norms()
        if not norms:
            return [], Norms(past, reported)
        value = math.hypot(*norms.values())
        threshold = self._threshold(past)
        if not value > threshold:
            return [], Norms((*past, value)[-self.history :], frozenset())
        worst = frozenset({max(norms, key=norms.get)})
        if reported:
            return [], Norms(past, worst)
        return [self._explosion(window, norms, threshold)], Norms(past, worst)

    def judge_dropped(self, window, state, limit):
        """Judges a window in which an update over `limit` was held back.

        Every such update is a finding; the window does not count as history.
        """
        norms = _gradient_norms(window)
        past, _ = state or Norms()
        worst = frozenset(norms and {max(norms, key=norms.get)})
        found = [self._explosion(window, norms, limit)] if norms else []
        return found, Norms(past, worst)

    def _threshold(self, past):
        if len(past) < 3:
            return self.limit
        usual = max(self.factor * statistics.median(past), self.floor)
        return min(usual, self.limit)

    def _explosion(self, window, norms, threshold):
        value = math.hypot(*norms.values())
        seen = (
            f"the gradient norm of all layers together is {value:.1e}, the greatest "
            f"share of it here, where {threshold:.1e} is the limit"
        )
        advice = (
            "lower the learning rate, clip gradients (`global_clipnorm`) or scale the "
            "targets"
        )
        worst = max(norms, key=norms.get)
        message = f"{seen}: {advice}."
        return finding_at(self, window, worst, value, threshold, message, advice)


def _gradient_norms(window):
    """Norms of the gradients; those that are not finite are another rule's."""
    return {
        path: stats.gradient_norm
        for path, stats in window.layers.items()
        if stats.gradient_norm is not None
        and not any(w.gradient_nan_count or w.gradient_inf_count for w in stats.weights)
    }
