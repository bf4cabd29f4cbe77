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
    """Scales each gate's recurrent kernel to a spectral radius of at most 1.

    With a greater one, what a step leaves behind grows with every step that follows.

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
    radius = spectral_radius(matrix)
    return matrix / radius if radius > 1.0 + 1e-6 else matrix


def spectral_radius(matrix):
    """Greatest magnitude of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def standardise_inputs(layer, inputs):
    """Gives what the inputs add to each gate mean 0 and deviation 1, if it is far off.

    A forget gate keeps its mean of 1, by which it starts out open.

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
    ill = (np.abs(mean - usual) > 1.0) | (deviation < 0.5) | (deviation > 2.0)
    ill &= deviation > 0
    if not ill.any():
        return []
    scale = np.where(ill, 1.0 / np.where(ill, deviation, 1.0), 1.0)
    cell.kernel.assign((kernel * scale).astype(cell.kernel.dtype))
    if bias is None:
        return [cell.kernel]
    centred = np.where(ill, usual - added.mean(axis=0) * scale, own)
    bias = np.stack([centred, bias[1]]) if bias.ndim == 2 else centred
    cell.bias.assign(bias.astype(cell.bias.dtype))
    return [cell.kernel, cell.bias]


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)
