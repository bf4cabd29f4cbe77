"""Norms of gradients, of each layer and of all together."""

import math


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


def norm_ratios(window):
    """Dict of layer path to its gradient's norm over the greatest layer's.

    Empty where that is 0 or not finite.
    """
    norms = gradient_norms(window)
    greatest = max(norms.values(), default=0.0)
    if not 0 < greatest < math.inf:
        return {}
    return {path: norm / greatest for path, norm in norms.items()}


def total_norm(window):
    """Norm of all gradients of a window together, or None where there are none."""
    norms = [stats.gradient_norm for stats in window.layers.values()]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None
