"""Bad steps: whether there are more than dropping their updates can heal."""

RUNNING = 3
AMONG = 30


class BadSteps:
    """The steps of a run that were not finite.

    Three running say that the weights are at fault. Where good ones lie between, as with
    bad data, the rest can be learnt from, unless it is the lesser part.

    Args:
        together: int, steps that are judged together; None where that is not known.
    """

    def __init__(self, together=1):
        self._together = together
        self._steps: list[int] = []

    def too_many(self, step, of_data):
        """Notes a bad step, and says whether something has to be done.

        Args:
            step: number of the step, or of the last one judged with it.
            of_data: bool, the batch itself was not finite.
        """
        together = self._together or 1
        recent = [s for s in self._steps if s > step - AMONG * together]
        self._steps = [*recent, step]
        last = self._steps[-RUNNING:]
        running = len(last) == RUNNING and (
            self._together is None or step - last[0] <= (RUNNING - 1) * together
        )
        if (running and not of_data) or len(self._steps) >= AMONG // 2:
            self.forget()
            return True
        return False

    def forget(self):
        """Weights were changed: what was is no more."""
        self._steps = []
