"""How much is left of the weights that a run began with."""

from keras_activations.health import anatomy
from keras_activations.health.weights import kernels, rms, rms_before

# Share of their size below which every kernel has withered.
SHRUNK = 0.2


def left(first, window):
    """What is left of the kernel that has shrunk the least, as a share of its size.

    Args:
        first: the first `Window` of the run.
        window: a later one.

    Returns:
        float, or None where a size is not known.
    """
    shares = []
    for path in anatomy.weighted(first):
        stats = window.layers.get(path)
        now = kernels(stats) if stats is not None else []
        for before, after in zip(kernels(first.layers[path]), now, strict=False):
            sizes = rms_before(before), rms(after)
            if None in sizes or not sizes[0] > 0:
                return None
            shares.append(sizes[1] / sizes[0])
    return max(shares, default=None)
