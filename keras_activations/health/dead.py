"""The rule on dead units."""

import numpy as np

from keras_activations.health.streaks import (
    Streaks,
    check_patience,
    check_share,
    found,
    look,
    spells_after,
)

_EXTREME = 0.95
_CLOSER = 2 / 3
_LEFT = 16  # so many may do, however many others there are


class DeadUnits:
    """Too many units at the floor of their activation for every input.

    A unit counts once it was dead in `patience` windows running, or in two that lie 30
    steps apart where over 95 % of the units were. A layer of which units come alive
    again is waited for.

    Args:
        threshold: float in (0, 1], share of dead units that is too much.
            Defaults to 0.59, so that three of five are.
        patience: int >= 1, consecutive windows. Defaults to 3.
    """

    name = "dead_units"

    def __init__(self, threshold=0.59, patience=3):
        self.threshold = check_share("threshold", threshold)
        self.patience = check_patience(patience)

    def thresholds(self):
        return {"dead share": self.threshold, "windows": self.patience}

    def judge(self, window, state):
        streaks, reported, spells = state or Streaks()
        lengths = {
            path: np.where(stats.dead, streaks.get(path, 0) + 1, 0)
            for path, stats in window.layers.items()
            if stats.dead is not None
        }
        spells = spells_after(spells, window, lengths, self.ill(window))
        shares = {}
        for path, spell in spells.items():
            if path in lengths:
                certain = spell.certain(self.extreme, window.step)
                enough = 1 if certain else self.patience
                shares[path] = float(np.mean(lengths[path] >= enough))
        ill = {path: share for path, share in shares.items() if share > self.threshold}
        due = {path for path in ill if not spells[path].shrinking}
        findings, reported = found(
            self, window, ill, due, reported, lengths, self._message
        )
        return findings, Streaks(streaks | lengths, reported, spells)

    def closer(self):
        """The same for runs that do not learn, see `closer.closer_look`."""
        return DeadUnits(_CLOSER * self.threshold)

    def look(self, window, first):
        """Findings for layers ill in this window, and in the first one of the run."""
        return look(self, window, first, self._message)

    def extreme(self, share):
        """Whether a share is beyond doubt."""
        return share > _EXTREME

    def ill(self, window):
        """The layers ill in this window, for however long: dict of path to share."""
        shares = {
            path: float(np.mean(stats.dead))
            for path, stats in window.layers.items()
            if stats.dead is not None
        }
        return {path: share for path, share in shares.items() if share > self.threshold}

    def _message(self, stats, value):
        return (
            f"{value:.0%} of its {stats.units} units have been at zero for every input "
            "and no longer learn",
            "lower the learning rate, check for large negative biases, or use an "
            "activation that is not flat there",
        )


def sparse(stats):
    """Whether units enough are left for a layer to be sparse instead of dead."""
    return stats is not None and stats.units - (stats.dead_units or 0) >= _LEFT
