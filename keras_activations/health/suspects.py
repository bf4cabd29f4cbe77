"""Suspects: what may have made a layer ill, each looked for in what was measured.

A suspect is a function of a `Case` that gives a `Suspicion`, or None where the data
speak against it or are silent.
"""

import dataclasses
import math
from typing import NamedTuple

from keras_activations.health import anatomy, gates, weights
from keras_activations.health.finding import Finding
from keras_activations.health.history import History
from keras_activations.health.norms import total_norm
from keras_activations.telemetry.stats import Window

# Root mean square of inputs that a layer with usual weights is not made for.
UNSCALED_INPUTS = 4.0
TINY_INPUTS = 1e-3
UNSCALED_TARGETS = 20.0
# One update changes what the layer computes by this share of a new draw.
LONG_STRIDE = 0.1
GROWTH = 2.0
# Times what arrived at the start.
FAR_OUT = 20.0


@dataclasses.dataclass(frozen=True)
class Case:
    """A finding and what is known of the run it was made in.

    Attributes:
        finding: the `Finding`.
        window: the `Window` it was found in, or the last one before; may be None.
        history: the `History` up to that window, which is part of it.
    """

    finding: Finding
    window: Window | None
    history: History

    @property
    def first(self):
        """The first window of the run, or None."""
        return self.history.first

    @property
    def path(self):
        """The ill layer, where the first window knows it, else the last layer."""
        known = self.first.layers if self.first is not None else {}
        return self.finding.layer if self.finding.layer in known else None


class Suspicion(NamedTuple):
    """A cause that the data speak for.

    Attributes:
        cause: one of `finding.CAUSES`.
        evidence: what speaks for it, a clause.
        weight: how far beyond the usual it is, 1 being just so.
    """

    cause: str
    evidence: str
    weight: float


def unscaled_inputs(case):
    """What the batches hold, or what the gradients say arrives at the first layer."""
    if case.first is None:
        return None
    if case.first.inputs is None and embeddings(case):
        return None  # tokens have no size
    size = gates.input_size(case.first)
    if size is None:
        return None
    # Of inputs too small no gradient comes, and units are left to their biases.
    lost = case.finding.rule in ("vanishing_gradient", "dead_units") and size > 0
    weight = max(size / UNSCALED_INPUTS, TINY_INPUTS / size if lost else 0.0)
    if not weight > 1:
        return None
    evidence = f"the inputs are not scaled (root mean square {size:.2g})"
    return Suspicion("unscaled_inputs", evidence, weight)


def outlying_batch(case):
    """Rows far beyond the scaled ones that came first, as the gradients tell."""
    if case.first is None or case.window is None:
        return None
    path = next(iter(anatomy.weighted(case.first)), None)
    stats = case.window.layers.get(path)
    now = None if stats is None else weights.arriving(stats)
    known = weights.arriving(case.first.layers[path]) if now else None
    usual = max(known or 0.0, gates.input_size(case.first) or 0.0)
    if now is None or not 0 < usual <= UNSCALED_INPUTS or not now > FAR_OUT * usual:
        return None
    evidence = (
        f"a batch since the last window holds rows that are far out (what arrived at "
        f"{path} was {now / usual:.2g} times as large as at the start)"
    )
    return Suspicion("bad_data", evidence, now / usual / FAR_OUT)


def unscaled_targets(case):
    size = _target_size(case)
    if not size > UNSCALED_TARGETS:
        return None
    evidence = f"the targets are not scaled (root mean square {size:.2g})"
    return Suspicion("unscaled_targets", evidence, size / UNSCALED_TARGETS)


def neither_scaled(case):
    """What speaks for both at once, a clause."""
    return (
        "neither the inputs nor the targets are scaled (root mean squares "
        f"{gates.input_size(case.first):.2g} and {_target_size(case):.2g})"
    )


def _target_size(case):
    targets = case.first.targets if case.first is not None else None
    return 0.0 if targets is None else math.hypot(targets.mean, targets.std)


def overbearing_targets(case):
    """The same where another output's gradient is the lesser for it."""
    layers = case.first.layers.values() if case.first is not None else ()
    several = sum(stats.is_output for stats in layers) > 1
    return unscaled_targets(case) if several else None


def learning_rate(case):
    """Updates that throw the weights far, or weights that grew."""
    stride, path = worst(case.history.strides)
    lasting = weights.lasting(case.history.momentum)
    if stride * lasting > LONG_STRIDE:
        share = f"{stride:.0%} of" if stride < 10 else f"{stride:.2g} times"
        seen = f"one update moved {path} by {share} its usual size"
        if lasting > 1:
            seen += f", and with a momentum of {case.history.momentum:g} they add up"
        evidence = f"the learning rate is too high ({seen})"
        return Suspicion("learning_rate", evidence, stride * lasting / LONG_STRIDE)
    grown, path = worst(_growth(case.history))
    # Those of a run that learns well may grow as they like.
    if grown > GROWTH and not _learns(case):
        evidence = (
            f"the learning rate is too high (the weights of {path} grew "
            f"{grown:.2g}-fold)"
        )
        return Suspicion("learning_rate", evidence, grown / GROWTH)
    return _leap(case)


def _learns(case):
    return case.window is not None and case.history.learns(case.window)


def _leap(case):
    """Gradients since the last window far above those of the first."""
    norms, window = case.history.norms, case.window
    now = total_norm(window) if window is not None else None
    if norms is None or now is None:
        return None
    growth = now / max(norms[0], 1e-3)
    if not growth > 100:
        return None
    evidence = (
        f"the learning rate is too high (the gradient grew from {norms[0]:.2g} to "
        f"{now:.2g})"
    )
    return Suspicion("learning_rate", evidence, growth / 100)


def embeddings(case):
    """The embeddings of a model, each with the path of its layer."""
    layers = case.first.layers if case.first is not None else {}
    return [(path, w) for path, stats in layers.items() for w in weights.tables(stats)]


def _growth(history):
    """How many times its size at the start, or half the usual, each layer has reached."""
    grown = {}
    for path, size in history.sizes.items():
        start = history.initial(path)
        known = [weights.excess(w) for w in weights.kernels(start)] if start else []
        grown[path] = size / max([0.5, *(n for n in known if n is not None)])
    return grown


def worst(sizes):
    """The greatest size and its path, of a dict of path to size."""
    return max(((size, path) for path, size in sizes.items()), default=(0.0, ""))
