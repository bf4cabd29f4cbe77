"""Rows that are far out: what nothing is done about but to keep them out of the weights."""

import math


class FarRows:
    """Has a guard drop the updates of batches with rows that are far out.

    Args:
        guard: an `UpdateGuard`, or None.
    """

    def __init__(self, guard):
        self._guard = guard
        self._known = False

    def begin(self):
        """A run begins."""
        self._known = False

    def keep_out(self, finding, dropped):
        """What was done about a finding, or None if something else has to be.

        Args:
            finding: a `Finding`.
            dropped: bool, its update was.
        """
        if (finding.rule, finding.cause) != ("exploding_gradient", "bad_data"):
            return None
        if dropped:
            self._known = True
            self._guard.norms.leave_unclipped()
            return "dropped this update, and will drop those of such batches to come"
        clip = float(self._guard.norms.clip.numpy())
        return f"clipped it to the global norm {clip:.2g}" if clip < math.inf else None

    def again(self, judgement):
        """Whether an update was dropped for such rows again, of which nothing is told."""
        new = judgement.findings or judgement.fault is not None
        if not self._known or new:
            return False
        self._guard.norms.leave_unclipped()
        return True
