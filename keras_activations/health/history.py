"""What is remembered of a run, to tell what was so from the start from what came."""

import dataclasses
import math

from keras_activations.health.norms import total_norm
from keras_activations.health.weights import excess, kernels, stride
from keras_activations.telemetry.stats import Window

# A loss that has fallen to this share of the first one speaks for the run.
LEARNT = 0.6


@dataclasses.dataclass(frozen=True)
class History:
    """What the windows of a run have shown so far.

    Attributes:
        first: the first `Window`, None before it.
        windows: how many there were.
        strides: dict of layer path to the greatest `stride` of a kernel.
        sizes: dict of layer path to the greatest `excess` of a kernel.
        norms: norm of all gradients together, the first window's and the greatest.
    """

    first: Window | None = None
    windows: int = 0
    strides: dict = dataclasses.field(default_factory=dict)
    sizes: dict = dataclasses.field(default_factory=dict)
    norms: tuple[float, float] | None = None

    def after(self, window):
        """The history with one window more."""
        norm = total_norm(window)
        norms = self.norms
        if norm is not None:
            norms = (norm, norm) if norms is None else (norms[0], max(norms[1], norm))
        return History(
            first=self.first or window,
            windows=self.windows + 1,
            strides=_greatest(self.strides, window, stride),
            sizes=_greatest(self.sizes, window, excess),
            norms=norms,
        )

    def learns(self, window):
        """Whether the loss is well below that of the first window, as far as known."""
        first = None if self.first is None else self.first.loss
        if first is None or window.loss is None:
            return False
        return first > 0 and window.loss < LEARNT * first

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
