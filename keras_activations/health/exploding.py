"""The rule on exploding gradients: norms that leap, updates that overwrite weights."""

import math
import statistics
from typing import NamedTuple

from keras_activations.health import weights
from keras_activations.health.norms import gradient_norms
from keras_activations.health.streaks import finding_at

_CLOSER = 0.1
_ADVICE = (
    "lower the learning rate, clip gradients (`global_clipnorm`) or scale the targets"
)


class Norms(NamedTuple):
    """What the rule remembers.

    Attributes:
        past: norms of all gradients together in the last healthy windows.
        reported: path of the layer blamed for an explosion that goes on.
    """

    past: tuple[float, ...] = ()
    reported: frozenset = frozenset()


class ExplodingGradient:
    """The gradient leaps far above what this run has shown, or any sane size.

    Beside the norm itself, what it does to the weights is judged: an update that
    changes a layer as much as to draw its weights anew is an explosion as well,
    however small the gradient. That needs no history, and so is seen at once.

    Args:
        factor: float > 1, how many times the median norm of the last windows is
            too much. Defaults to 100.
        floor: float > 0, a norm below which nothing is an explosion.
            Defaults to 100.
        limit: float > 0, a norm that is always one. Defaults to 1e8.
        history: int >= 3, windows remembered. Defaults to 20.
        stride: float > 0, size of an update, in units of what He's initialiser gives,
            that is too much. Defaults to 1.
    """

    name = "exploding_gradient"

    def __init__(self, factor=100.0, floor=100.0, limit=1e8, history=20, stride=1.0):
        for option, value, least in (
            ("factor", factor, 1),
            ("floor", floor, 0),
            ("limit", limit, 0),
            ("stride", stride, 0),
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
        self.stride = float(stride)

    def thresholds(self):
        return {
            "times the usual norm": self.factor,
            "and above": self.floor,
            "or above": self.limit,
            "or an update of": self.stride,
        }

    def judge(self, window, state):
        past, reported = state or Norms()
        norms = gradient_norms(window)
        if not norms:
            return [], Norms(past, reported)
        value, threshold = math.hypot(*norms.values()), self._threshold(past)
        if value > threshold:
            found = self._explosion(window, norms, threshold)
        else:
            found = self._overwritten(window)
        if found is None:
            return [], Norms((*past, value)[-self.history :])
        blamed = Norms(past, frozenset({found.layer}))
        return ([] if reported else [found]), blamed

    def judge_dropped(self, window, state, limit):
        """Judges a window in which an update over `limit` was held back.

        Every such update is a finding; the window does not count as history.
        """
        past, _ = state or Norms()
        norms = gradient_norms(window)
        if not norms:
            return [], Norms(past)
        found = self._explosion(window, norms, limit)
        return [found], Norms(past, frozenset({found.layer}))

    def closer(self):
        """The same for runs that do not learn, see `closer.closer_look`."""
        return ExplodingGradient(
            self.factor, self.floor, self.limit, self.history, _CLOSER * self.stride
        )

    def look(self, window, first):
        """A finding for gradients above the floor from the start, or for long strides."""
        norms = gradient_norms(window)
        sizes = [math.hypot(*gradient_norms(w).values()) for w in (first, window)]
        if self.floor < min(sizes) and max(sizes) < math.inf:
            return [self._explosion(window, norms, self.floor)]
        # Not long by chance, where a plateau is left at last.
        found = self._overwritten(first) and self._overwritten(window)
        return [] if found is None else [found]

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
        worst = max(norms, key=norms.get)
        message = f"{seen}: {_ADVICE}."
        return finding_at(self, window, worst, value, threshold, message, _ADVICE)

    def _overwritten(self, window):
        """The finding for the layer whose weights an update moved too far, or None."""
        strides = {
            path: weights.longest_stride(stats) for path, stats in window.layers.items()
        }
        worst = max(strides, key=lambda path: strides[path])
        if not strides[worst] > self.stride:
            return None
        anew = strides[worst] > 1
        meaning = "so what it had learnt is overwritten" if anew else "far for one step"
        seen = (
            f"one update moved its weights by {strides[worst]:.2g} times their usual "
            f"size, {meaning}"
        )
        message = f"{seen}: {_ADVICE}."
        return finding_at(
            self, window, worst, strides[worst], self.stride, message, _ADVICE
        )
