"""What is remembered of a run, to tell what was so from the start from what came."""

import dataclasses
import math
import statistics

from keras_activations.health.norms import total_norm
from keras_activations.health.weights import excess, kernels, stride
from keras_activations.telemetry.stats import Window

# A loss that has fallen to this share of the first one speaks for the run.
LEARNT = 0.6
# Windows and steps after which a loss should have begun to fall, to this share. The
# bias of the last layer can do that alone, but seldom down to the other one.
ENOUGH_WINDOWS, ENOUGH_STEPS, FALLEN, WELL_FALLEN = 10, 100, 0.95, 0.8
EARLY, LATE = 3, 5  # windows whose losses are compared


@dataclasses.dataclass(frozen=True)
class History:
    """What the windows of a run have shown so far.

    Attributes:
        first: the first `Window`, None before it.
        windows: how many there were.
        strides: dict of layer path to the greatest `stride` of a kernel.
        sizes: dict of layer path to the greatest `excess` of a kernel.
        norms: norm of all gradients together, the first window's and the greatest.
        momentum: of the optimizer; it has updates add up that are small one by one.
        losses: those of the first windows, of late ones, and of the last, as far as known.
    """

    first: Window | None = None
    windows: int = 0
    strides: dict = dataclasses.field(default_factory=dict)
    sizes: dict = dataclasses.field(default_factory=dict)
    norms: tuple[float, float] | None = None
    momentum: float = 0.0
    losses: tuple[tuple[float, ...], ...] = ((), (), ())

    def after(self, window):
        """The history with one window more."""
        norm = total_norm(window)
        norms = self.norms
        if norm is not None:
            norms = (norm, norm) if norms is None else (norms[0], max(norms[1], norm))
        return dataclasses.replace(
            self,
            first=self.first or window,
            windows=self.windows + 1,
            strides=_greatest(self.strides, window, stride),
            sizes=_greatest(self.sizes, window, excess),
            norms=norms,
            losses=self._losses_after(window.loss),
        )

    def learns(self, window):
        """Whether the loss is well below that of the first window, as far as known."""
        first = None if self.first is None else self.first.loss
        if first is None or window.loss is None:
            return False
        return first > 0 and window.loss < LEARNT * first

    def falls(self, window):
        """Whether the loss has begun to fall, and goes on, as far as known."""
        last = self.losses[-1]
        if self.first is None or self.first.loss is None or window.loss is None:
            return False
        begun = window.loss < FALLEN * self.first.loss
        return begun and window.loss <= statistics.median(last)

    def stuck(self, window):
        """Whether the loss has not begun to fall, after long enough, as far as known."""
        return self._above(FALLEN, window)

    def slow(self, window):
        """Whether the loss has fallen a little at most, likewise."""
        return self._above(WELL_FALLEN, window)

    def at_chance(self, window):
        """Whether a classifier is no better than a guess, after long enough."""
        outputs = [stats for stats in window.layers.values() if stats.is_output]
        if len(outputs) != 1 or outputs[0].activation != "softmax":
            return False
        if not self._long_enough(window):
            return False
        guess = math.log(outputs[0].units or 1)
        return statistics.median(self.losses[-1]) > FALLEN * guess > 0

    def has_come_to_rest(self, window):
        """Whether the loss no longer falls, after long enough, as far as known."""
        return self._long_enough(window) and self.rests()

    def rests(self):
        """Whether the loss no longer falls, of a run that has been long enough."""
        _, before, last = map(statistics.median, self.losses)
        return last > FALLEN * before

    def _above(self, share, window):
        """Whether the last losses are above a share of the first, after long enough."""
        early, _, last = self.losses
        if not self._long_enough(window):
            return False
        return statistics.median(last) > share * statistics.median(early)

    def _long_enough(self, window):
        if self.first is None or self.windows < ENOUGH_WINDOWS or not self.losses[1]:
            return False
        return window.step - self.first.step >= ENOUGH_STEPS

    def _losses_after(self, loss):
        early, before, last = self.losses
        if loss is None:
            return self.losses
        early = early if len(early) == EARLY else (*early, loss)
        late = (*before, *last, loss)[-2 * LATE :]
        return early, late[:-LATE], late[-LATE:]

    def initial(self, path):
        """The `LayerStats` of a layer in the first window, or None."""
        return None if self.first is None else self.first.layers.get(path)


def _greatest(known, window, measure):
    found = dict(known)
    for path, stats in window.layers.items():
        values = [measure(weight) for weight in kernels(stats)]
        for value in values:
            # A weight that is not finite is another rule's.
            if value is not None and math.isfinite(value):
                found[path] = max(found.get(path, 0.0), value)
    return found
