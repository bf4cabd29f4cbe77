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
UNSCALED_TARGETS = 20.0
# Times He's initialiser, times below Glorot's.
LARGE_WEIGHTS = 2.0
SMALL_WEIGHTS = 4.0
# Biases that shift a unit further than its inputs move it.
LARGE_BIAS = 1.0
# One update changes what the layer computes by this share of a new draw.
LONG_STRIDE = 0.1
# Share of their size that all weights have fallen to.
SHRUNK = 0.2
GROWTH = 2.0
# Deviation that a signal has grown to, of inputs of size 1.
GROWN_SIGNAL = 20.0


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
    size = gates.input_size(case.first)
    if size is None or not size > UNSCALED_INPUTS:
        return None
    evidence = f"the inputs are not scaled (root mean square {size:.2g})"
    return Suspicion("unscaled_inputs", evidence, size / UNSCALED_INPUTS)


def unscaled_targets(case):
    targets = case.first.targets if case.first is not None else None
    if targets is None:
        return None
    size = math.hypot(targets.mean, targets.std)
    if not size > UNSCALED_TARGETS:
        return None
    evidence = f"the targets are not scaled (root mean square {size:.2g})"
    return Suspicion("unscaled_targets", evidence, size / UNSCALED_TARGETS)


def overbearing_targets(case):
    """The same where another output's gradient is the lesser for it."""
    layers = case.first.layers.values() if case.first is not None else ()
    several = sum(stats.is_output for stats in layers) > 1
    return unscaled_targets(case) if several else None


def large_weights(case):
    """Weights that started too large, in a layer that the signal passes before."""
    sizes = _initial(case, weights.excess)
    if not sizes:
        return None
    path = max(sizes, key=lambda path: sizes[path])
    if not sizes[path] > LARGE_WEIGHTS:
        return None
    evidence = (
        f"the weights of {path} start too large ({sizes[path]:.2g} times the usual)"
    )
    return Suspicion("large_weights", evidence, sizes[path] / LARGE_WEIGHTS)


def growing_signal(case):
    """Layers that hand on much more than came in, from the start."""
    if case.first is None:
        return None
    sizes = {
        path: stats.std
        for path, stats in case.first.layers.items()
        if stats.std is not None and not stats.is_output
    }
    size, path = _worst(sizes)
    limit = GROWN_SIGNAL * max(gates.input_size(case.first) or 0.0, 1.0)
    if not limit < size < math.inf:
        return None
    evidence = f"the signal grows from layer to layer (deviation {size:.2g} at {path})"
    return Suspicion("large_weights", evidence, size / limit)


def small_weights(case):
    """Weights that started too small, anywhere: forwards or backwards, all is lost."""
    if case.first is None:
        return None
    sizes = {}
    for path in anatomy.weighted(case.first):
        known = [weights.lack(w) for w in weights.kernels(case.first.layers[path])]
        sizes[path] = max((n for n in known if n is not None), default=0.0)
    if not sizes:
        return None
    path = max(sizes, key=lambda path: sizes[path])
    if not sizes[path] > SMALL_WEIGHTS:
        return None
    evidence = (
        f"the weights of {path} start too small (1/{sizes[path]:.2g} of the usual)"
    )
    return Suspicion("small_weights", evidence, sizes[path] / SMALL_WEIGHTS)


def weight_decay(case):
    """Kernels that have shrunk, every one of them."""
    if case.first is None or case.window is None:
        return None
    left = []
    for path in anatomy.weighted(case.first):
        stats = case.window.layers.get(path)
        now = weights.kernels(stats) if stats is not None else []
        known = weights.kernels(case.first.layers[path])
        for before, after in zip(known, now, strict=False):
            sizes = weights.rms_before(before), weights.rms(after)
            if None in sizes or not sizes[0] > 0:
                return None
            left.append(sizes[1] / sizes[0])
    if not left or not max(left) < SHRUNK:
        return None
    evidence = (
        f"the weights are not held against what shrinks them (to {max(left):.1%} and "
        "less of what they were)"
    )
    return Suspicion("weight_decay", evidence, SHRUNK / max(*left, 1e-9))


def dead_bias(case):
    """Biases of the feeding layer that were far from 0 at the start."""
    path = anatomy.feeder(case.first, case.path) if case.path else None
    if path is None:
        return None
    known = [weights.rms_before(w) for w in weights.biases(case.first.layers[path])]
    size = max((n for n in known if n is not None), default=0.0)
    if not size > LARGE_BIAS:
        return None
    evidence = f"the biases of {path} start far from 0 (root mean square {size:.2g})"
    return Suspicion("dead_bias", evidence, size / LARGE_BIAS)


def learning_rate(case):
    """Updates that throw the weights far, or weights that grew."""
    stride, path = _worst(case.history.strides)
    if stride > LONG_STRIDE:
        evidence = (
            f"the learning rate is too high (one update moved {path} by {stride:.0%} "
            "of its usual size)"
        )
        return Suspicion("learning_rate", evidence, stride / LONG_STRIDE)
    grown, path = _worst(_growth(case.history))
    if grown > GROWTH:
        evidence = (
            f"the learning rate is too high (the weights of {path} grew "
            f"{grown:.2g}-fold)"
        )
        return Suspicion("learning_rate", evidence, grown / GROWTH)
    return _leap(case)


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


def _initial(case, measure):
    """Greatest `measure` of the kernels, at the start, of each layer up to the ill one."""
    if case.first is None:
        return {}
    paths = anatomy.weighted(case.first)
    if case.path is not None:
        paths = anatomy.before(case.first, case.path)
    sizes = {}
    for path in paths:
        known = [measure(w) for w in weights.kernels(case.first.layers[path])]
        sizes[path] = max((n for n in known if n is not None), default=0.0)
    return sizes


def _growth(history):
    """How many times its size at the start, or half the usual, each layer has reached."""
    grown = {}
    for path, size in history.sizes.items():
        start = history.initial(path)
        known = [weights.excess(w) for w in weights.kernels(start)] if start else []
        grown[path] = size / max([0.5, *(n for n in known if n is not None)])
    return grown


def _worst(sizes):
    return max(((size, path) for path, size in sizes.items()), default=(0.0, ""))
