"""Gates: what is saturated inside a recurrent layer, where no output shows it.

The gates of an LSTM or GRU are sigmoids of sums that grow with the input. They never
leave the layer; but inputs and weights tell how large those sums are.
"""

import math

from keras_activations.health import anatomy, weights

# Beyond it a sigmoid's slope is under 4 % of its greatest.
FLAT = 4.6


def gate_saturation(window):
    """Share of flat gates in a gated layer that is the first to see the inputs.

    What adds up to a gate is taken as normal, of deviation
    `inputs * rms(kernel) * sqrt(fan_in)`.

    Args:
        window: a `Window`.

    Returns:
        dict of path to share, empty where the first layer is no gated one, or where
        nothing is known of its inputs.
    """
    if not any(_gated_kernel(stats) for stats in window.layers.values()):
        return {}
    paths = anatomy.weighted(window)
    kernel = _gated_kernel(window.layers[paths[0]])
    size, inputs = kernel and weights.rms(kernel), input_size(window)
    if not size or inputs is None:
        return {}
    sums = inputs * size * math.sqrt(weights.fan_in(kernel))
    share = math.erfc(FLAT / sums / math.sqrt(2)) if sums > 0 else 0.0
    return {anatomy.around(window, paths[0]): share}


def input_size(window):
    """Root mean square of what comes to the first layer with weights, or None.

    That of the inputs, unless the gradients say that a layer in front makes them
    smaller; or what the gradients say, where the inputs are not known.
    """
    paths = anatomy.weighted(window)
    told = weights.arriving(window.layers[paths[0]]) if paths else None
    if window.inputs is None:
        return told
    size = math.hypot(window.inputs.mean, window.inputs.std)
    return size if told is None else told if told < size / 10 else size


def _gated_kernel(stats):
    """The kernel that multiplies the inputs, of a layer with three gates or more."""
    named = {w.path.rsplit("/", 1)[-1]: w for w in weights.kernels(stats)}
    kernel, recurrent = named.get("kernel"), named.get("recurrent_kernel")
    if kernel is None or recurrent is None:
        return None
    return kernel if recurrent.shape[-1] >= 3 * recurrent.shape[-2] else None
