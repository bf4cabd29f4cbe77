"""Norms of gradients, of each layer and of all together."""

import math

from keras_activations.health.weights import kernels


def gradient_norms(window):
    """Dict of layer path to the norm of its gradient.

    Gradients that are not finite are another rule's.
    """
    return {
        path: stats.gradient_norm
        for path, stats in window.layers.items()
        if stats.gradient_norm is not None
        and not any(w.gradient_nan_count or w.gradient_inf_count for w in stats.weights)
    }


def kernel_norms(window):
    """The same of the kernels alone, in layers that have any.

    What comes in too small is lost to them; a bias learns all the same.
    """
    norms = gradient_norms(window)
    for path in norms:
        own = [w.gradient_norm for w in kernels(window.layers[path])]
        if own and None not in own:
            norms[path] = math.hypot(*own)
    return norms


def total_norm(window):
    """Norm of all gradients of a window together, or None where there are none."""
    norms = [stats.gradient_norm for stats in window.layers.values()]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None
