"""Recurrent layers: their kernels brought back to a sound size."""

import keras
import numpy as np

# Cells of Keras, and how many gates their kernels hold side by side.
GATES = (
    (keras.layers.SimpleRNNCell, 1),
    (keras.layers.LSTMCell, 4),
    (keras.layers.GRUCell, 3),
)


def cell_gates(layer):
    """The gates of a recurrent layer's cell; None where its kernels are not known."""
    if not isinstance(layer, keras.layers.RNN):
        return None
    return next((n for kind, n in GATES if isinstance(layer.cell, kind)), None)


def shrink_recurrent_kernel(layer):
    """Brings each gate's recurrent kernel to a spectral radius of at most 1.

    With a greater one, what a step leaves behind grows with every step that follows.
    Singular values above 1 become 1, which says the same of every single step. What
    the kernel does with the other directions stays; scaling it down as a whole would
    make it forget them at once.

    Returns:
        the variables that were changed, a list.
    """
    kernel = layer.cell.recurrent_kernel
    values = keras.ops.convert_to_numpy(kernel.value).astype(np.float64)
    gates = np.split(values, cell_gates(layer), axis=1)
    shrunk = [_shrunk(gate) for gate in gates]
    if np.array_equal(np.concatenate(shrunk, axis=1), values):
        return []
    kernel.assign(np.concatenate(shrunk, axis=1).astype(kernel.dtype))
    return [kernel]


def _shrunk(matrix):
    if not spectral_radius(matrix) > 1.0 + 1e-6:
        return matrix
    left, sizes, right = np.linalg.svd(matrix)
    return (left * np.minimum(sizes, 1.0)) @ right


def spectral_radius(matrix):
    """Greatest magnitude of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def standardise_inputs(layer, inputs):
    """Gives what the inputs add to each gate mean 0 and a sound deviation, if it is far
    off.

    The deviation is what Glorot's initialiser makes of standardised inputs, at most 1:
    few inputs have to leave room for what the layer remembers. A forget gate keeps its
    mean of 1, by which it starts out open.

    Args:
        layer: a recurrent layer whose `cell_gates` are known.
        inputs: of the layer, `(batch, steps, features)`.

    Returns:
        the variables that were changed, a list.
    """
    cell = layer.cell
    kernel = keras.ops.convert_to_numpy(cell.kernel.value).astype(np.float64)
    inputs = keras.ops.convert_to_numpy(keras.ops.cast(inputs, "float32"))
    added = (inputs.astype(np.float64) @ kernel).reshape(-1, kernel.shape[1])
    bias = None if cell.bias is None else _array(cell.bias)
    # A GRU that resets after the product has a second bias, for the recurrent part.
    own = 0.0 if bias is None else bias[0] if bias.ndim == 2 else bias
    mean, deviation = (added + own).mean(axis=0), added.std(axis=0)
    usual = np.zeros_like(mean)
    if isinstance(cell, keras.layers.LSTMCell):
        usual[cell.units : 2 * cell.units] = 1.0
    fans = kernel.shape[0], cell.units
    sound = min(np.sqrt(2.0 * fans[0] / sum(fans)), 1.0)
    ill = (deviation < 0.5 * sound) | (deviation > 2.0 * sound)
    ill |= np.abs(mean - usual) > 1.0
    ill &= deviation > 0
    if not ill.any():
        return []
    scale = np.where(ill, sound / np.where(ill, deviation, 1.0), 1.0)
    cell.kernel.assign((kernel * scale).astype(cell.kernel.dtype))
    if bias is None:
        return [cell.kernel]
    centred = np.where(ill, usual - added.mean(axis=0) * scale, own)
    bias = np.stack([centred, bias[1]]) if bias.ndim == 2 else centred
    cell.bias.assign(bias.astype(cell.bias.dtype))
    return [cell.kernel, cell.bias]


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)
