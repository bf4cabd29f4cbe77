"""Suspects among the weights: what a layer started with, and what became of it."""

import math

from keras_activations.health import anatomy, gates, suspects, weights, withering
from keras_activations.health.suspects import Suspicion, embeddings, worst

# Times He's initialiser, times below Glorot's.
LARGE_WEIGHTS = 2.0
SMALL_WEIGHTS = 4.0
# Biases that shift a unit further than its inputs move it.
LARGE_BIAS = 1.0
# Deviation that a signal has grown to, of inputs of size 1.
GROWN_SIGNAL = 20.0


def large_weights(case):
    """Weights that started too large, in a layer that the signal passes before."""
    size, path = worst(_initial(case, weights.excess))
    if not size > LARGE_WEIGHTS:
        return None
    evidence = f"the weights of {path} start too large ({size:.2g} times the usual)"
    return Suspicion("large_weights", evidence, size / LARGE_WEIGHTS)


def alike_weights(case):
    """Weights that started far to one side of 0, or all the same, on the signal's way.

    What a unit adds up is then much the same for all of them.
    """
    share, path = worst(_initial(case, weights.alike))
    if not share > weights.ALIKE:
        return None
    evidence = (
        f"the weights of {path} start alike (their mean is {share:.0%} of their root "
        "mean square), and so do its units"
    )
    return Suspicion("alike_weights", evidence, share / weights.ALIKE)


def large_embeddings(case):
    """Embeddings that started as far from 0 as inputs that are not scaled."""
    known = [(weights.rms_before(w) or 0.0, path) for path, w in embeddings(case)]
    size, path = max(known, default=(0.0, ""))
    if not size > suspects.UNSCALED_INPUTS:
        return None
    evidence = f"the embeddings of {path} start too large (root mean square {size:.2g})"
    return Suspicion("large_weights", evidence, size / suspects.UNSCALED_INPUTS)


def growing_signal(case):
    """Layers that hand on much more than came in, from the start."""
    if case.first is None:
        return None
    sizes = {
        path: stats.std
        for path, stats in case.first.layers.items()
        if stats.std is not None and not stats.is_output
    }
    size, path = worst(sizes)
    limit = GROWN_SIGNAL * max(gates.input_size(case.first) or 0.0, 1.0)
    if not limit < size < math.inf:
        return None
    evidence = f"the signal grows from layer to layer (deviation {size:.2g} at {path})"
    return Suspicion("large_weights", evidence, size / limit)


def small_weights(case):
    """Weights that started too small, anywhere: forwards or backwards, all is lost."""
    size, path = worst(_initial(case, weights.lack, anywhere=True))
    if not size > SMALL_WEIGHTS:
        return None
    evidence = f"the weights of {path} start too small (1/{size:.2g} of the usual)"
    return Suspicion("small_weights", evidence, size / SMALL_WEIGHTS)


def weight_decay(case):
    """Kernels that have shrunk, every one of them."""
    if case.first is None or case.window is None:
        return None
    left = withering.left(case.first, case.window)
    if left is None or not left < withering.SHRUNK:
        return None
    evidence = (
        f"the weights are not held against what shrinks them (to {left:.1%} and "
        "less of what they were)"
    )
    return Suspicion("weight_decay", evidence, withering.SHRUNK / max(left, 1e-9))


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


def _initial(case, measure, anywhere=False):
    """Greatest `measure` of the kernels, at the start, of each layer up to the ill one."""
    if case.first is None:
        return {}
    paths = anatomy.weighted(case.first)
    if case.path is not None and not anywhere:
        paths = anatomy.before(case.first, case.path)
    sizes = {}
    for path in paths:
        known = [measure(w) for w in weights.kernels(case.first.layers[path])]
        sizes[path] = max((n for n in known if n is not None), default=0.0)
    return sizes
