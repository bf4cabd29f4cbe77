"""The rule on saturation: outputs on a flat, bounded side of their activation."""

import math

from keras_activations.health.gates import gate_saturation, input_size
from keras_activations.health.streaks import (
    Streaks,
    check_patience,
    check_share,
    finding_at,
    look,
    report,
)

_EXTREME = 0.95
# Root mean square of inputs that usual weights make no signal of.
_DROWNING = 20.0
_CLOSER = 4 / 7
# Of an activation with a floor as well, where hardly an output is left in between.
_AT_TOP, _FLAT = 0.25, 0.9
IN_REACH = "scale the targets into that range or make the output linear"


class Saturation:
    """Too many outputs on a flat, bounded side of the activation.

    Outputs of the model are judged apart: a classifier that is sure of itself is
    saturated there, and rightly so. They are ill where most of the targets lie
    outside of what the activation can give: then it is driven to its flat side. That
    is seen in the first window already.

    Where an activation has a floor as well, like ReLU6, its outputs there count as
    saturated if a quarter of all are at the top and less than a tenth in between.

    Args:
        threshold: float in (0, 1], share of saturated outputs that is too much.
            Defaults to 0.7: one layer may pass a third of the gradient and learn well.
        patience: int >= 1, consecutive windows before it is a finding. Defaults to 3.
            Where over 95 % are saturated, two are enough that lie 30 steps apart, and
            the first one of a run with inputs of a root mean square over 20.
    """

    name = "saturation"

    def __init__(self, threshold=0.7, patience=3):
        self.threshold = check_share("threshold", threshold)
        self.patience = check_patience(patience)

    def thresholds(self):
        return {"saturated share": self.threshold, "windows": self.patience}

    def judge(self, window, state):
        known = state or Streaks()
        # What is out of reach stays so as long as the run goes on with such targets.
        hidden = known._replace(reported=known.reported - _outputs(window))
        ill = self.ill(window)
        drowned = self._drowned(window, ill) if state is None else frozenset()
        findings, after = report(
            self, window, hidden, _hidden(window), ill, self._message, drowned
        )
        reach = [path for path in _outputs(window) if _beyond(window, path)]
        new = [path for path in reach if path not in known.reported]
        findings += [self._out_of_reach(window, path) for path in new]
        return findings, after._replace(reported=after.reported | frozenset(reach))

    def ill(self, window):
        """The layers ill in this window, for however long: dict of path to share."""
        shares = _hidden(window)
        return {path: share for path, share in shares.items() if share > self.threshold}

    def closer(self):
        """The same for runs that do not learn, see `closer.closer_look`."""
        return Saturation(_CLOSER * self.threshold)

    def look(self, window, first):
        """Findings for layers ill in this window, and in the first one of the run."""
        return look(self, window, first, self._message)

    def _drowned(self, window, ill):
        """Layers that raw inputs flatten all but wholly: no training undoes that."""
        if (input_size(window) or 0.0) < _DROWNING:
            return frozenset()
        return frozenset(path for path, share in ill.items() if self.extreme(share))

    def extreme(self, share):
        """Whether a share is beyond doubt."""
        return share > _EXTREME

    def recovering(self, spell):
        """Whether to wait for a layer that is getting better."""
        return spell.shrinking

    def _message(self, stats, value):
        floor = " or at the floor" if value == _flat(stats) else ""
        return (
            f"{value:.0%} of the outputs are saturated{floor}, so almost no gradient "
            f"passes the {stats.activation}",
            "scale the inputs, start from smaller weights, normalise before this layer "
            "or lower the learning rate",
        )

    def _out_of_reach(self, window, path):
        stats, targets = window.layers[path], window.targets
        far, limit = _beyond(window, path)
        low, high = stats.limits
        seen = (
            f"the {stats.activation} gives {low:g} to {high:g}, but the targets have "
            f"mean {targets.mean:.2g} and deviation {targets.std:.2g}, so it will "
            "saturate without reaching them"
        )
        message = f"{seen}: {IN_REACH}."
        return finding_at(self, window, path, far, limit, message, IN_REACH)


def _hidden(window):
    inside = gate_saturation(window)
    return {
        path: max(_flat(stats) or stats.saturation, inside.get(path, 0.0))
        for path, stats in window.layers.items()
        if stats.saturation is not None and not stats.is_output
    }


def _flat(stats):
    """The share of outputs at the top or the floor where it is nearly all, or None."""
    if stats.dead is None or not stats.saturation > _AT_TOP:
        return None
    share = stats.saturation + (stats.zero_fraction or 0.0)
    return share if share > _FLAT else None


def _outputs(window):
    return frozenset(path for path, stats in window.layers.items() if stats.is_output)


def _beyond(window, path):
    """How far the targets reach beyond an output, and the limit there, or None.

    Numbers of which the mean lies outside of a range, or which deviate by more than
    its half, cannot all lie in it. Where it has one end only, as that of ReLU, many of
    them have to lie beyond.
    """
    limits, targets = window.layers[path].limits, window.targets
    if limits is None or targets is None or len(_outputs(window)) > 1:
        return None
    low, high = limits
    far_low, far_high = targets.mean - targets.std, targets.mean + targets.std
    if math.isinf(high - low):
        if _beyond_one_end(low, high, targets):
            return (far_low, low) if math.isinf(high) else (far_high, high)
        return None
    if low <= targets.mean <= high and targets.std <= (high - low) / 2:
        return None
    return (far_high, high) if far_high - high > low - far_low else (far_low, low)


def _beyond_one_end(low, high, targets):
    """Whether some targets lie far beyond the end of a range, and the usual one near it."""
    # Counts and waiting times have a mean near 0 as well, and none below.
    far, usual = 0.5 * targets.std, 0.25 * targets.std
    below = targets.min < low - far and targets.mean < low + usual
    above = targets.max > high + far and targets.mean > high - usual
    return below or above
