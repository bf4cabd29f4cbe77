"""Degrees: how a loss grows with the distance between outputs and targets.

Losses of distances alone do not change when outputs and targets are shifted together,
and grow by 2^k when both are doubled: squares with k = 2, absolute values, quantiles
and, far from 0, Huber's loss with k = 1. A loss is asked for that, so that the user's
own are known as well as Keras's.
"""

import keras
import numpy as np

TOLERANCE = 0.1


def degree(loss, targets):
    """The degree of a loss at the size that targets have.

    Args:
        loss: callable `(targets, outputs)`.
        targets: array of shape `(samples, outputs)`, finite.

    Returns:
        int above 0, or None where it has none, or the loss is not one of distances.

    Example:

    >>> targets = np.array([[0.0], [100.0], [300.0]])
    >>> degree(keras.losses.Huber(), targets), degree(keras.losses.Huber(), targets / 1e4)
    (1, 2)
    >>> degree(keras.losses.Poisson(), targets) is None
    True
    """
    targets = (targets - targets.mean(axis=0)).astype("float32")
    # Outputs as far from the targets as these are from each other.
    outputs = np.roll(targets, 1, axis=0)
    shift = np.abs(targets).max(initial=0.0)
    try:
        once = _mean(loss, targets, outputs)
        twice = _mean(loss, 2 * targets, 2 * outputs)
        shifted = _mean(loss, targets + shift, outputs + shift)
    except Exception:  # the user's code may raise anything
        return None
    if not (0 < once < np.inf and 0 < twice < np.inf):
        return None
    power = np.log2(twice / once)
    whole = round(power)
    sound = abs(power - whole) < TOLERANCE and abs(shifted - once) < 1e-2 * once
    return whole if sound and whole > 0 else None


def _mean(loss, targets, outputs):
    values = loss(
        keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(outputs)
    )
    return float(np.mean(keras.ops.convert_to_numpy(values)))
