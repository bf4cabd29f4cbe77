"""Standardised: layers written as though their inputs had mean 0 and deviation 1."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from keras_activations.actions.affine import CONVOLUTIONS, adapted
from keras_activations.actions.feeds import (
    intercepted,
    output_of,
    untouched_averages,
)
from keras_activations.actions.recurrent import cell_gates
from keras_activations.activations.regions import region_of
from keras_activations.telemetry.taps import all_layers

# Data comes in any units: a feature is constant where it varies less than this beside its
# own size. Units of one layer that vary less, beside the one that varies most, are dead
# or saturated, and may not be so for long.
LEAST_OF_DATA, LEAST_OF_UNITS = 1e-6, 0.1
# A feature that is mostly one value, like a pixel at the border, says little of itself in
# one batch: it is taken to vary as the others do, or as far as it was seen to reach.
MOSTLY = 0.75


@dataclasses.dataclass(frozen=True)
class Standardised:
    """A layer whose inputs are taken to be standardised.

    Attributes:
        kernel: its variable, whose axis before the last one is that of the inputs.
        bias: its variable, or None.
        mean, deviation: arrays, `(inputs, 1)`.
        row: of the bias, where it has one for the inputs and one for the state.
        of_data: bool, the inputs are what the model is given.
    """

    kernel: keras.Variable
    bias: keras.Variable | None
    mean: np.ndarray
    deviation: np.ndarray
    row: int | None = None
    of_data: bool = False

    @property
    def size(self):
        """The root mean square of the inputs."""
        return float(np.sqrt(np.mean(np.square(self.mean) + np.square(self.deviation))))

    def inner(self, kernel, bias):
        """V and c for W and b, tensors; None stays None."""
        moved = None if bias is None else bias + self._shift(kernel, bias)
        return kernel * self._cast(self.deviation, kernel), moved

    def outer(self, kernel, bias):
        """W and b for V and c."""
        kernel = kernel / self._cast(self.deviation, kernel)
        return kernel, None if bias is None else bias - self._shift(kernel, bias)

    def gradients(self, kernel, bias):
        """The gradients of V and c for those of W and b."""
        if bias is not None:
            row = bias if self.row is None else bias[self.row]
            kernel = kernel - self._cast(self.mean, kernel) * row
        return kernel / self._cast(self.deviation, kernel), bias

    def _shift(self, kernel, bias):
        products = kernel * self._cast(self.mean, kernel)
        shift = tf.reduce_sum(products, axis=list(range(len(kernel.shape) - 1)))
        if self.row is None:
            return shift
        rows = [tf.zeros_like(shift), tf.zeros_like(shift)]
        rows[self.row] = shift
        return tf.stack(rows)

    def _cast(self, values, like):
        return tf.constant(values, like.dtype)


def standardised_layers(model, inputs):
    """The kernels of a model that can be written so, a list of `Standardised`.

    Those of Dense layers, plain convolutions and recurrent layers of Keras's cells,
    with channels last, called once, and free to hold something else for a while. What a
    `TimeDistributed` applies at each position is one such call.

    Args:
        model: a built `keras.Model`.
        inputs: one batch, as the model is called with.

    Raises:
        NotTaken: if the model cannot be called on it.
    """
    seen: dict = {}
    several = set()
    # As the model's layers take them, so that they are known by their ids.
    inputs = keras.tree.map_structure(lambda x: _as_taken_by(model, x), inputs)
    data = {id(x): x for x in keras.tree.flatten(inputs)}
    # Inside of its call a variable of mixed precision says that it is a half.
    kernels = {id(layer): _kernels(layer) for layer in all_layers(model)}
    at_positions = []  # ids of layers that are given one position after the other

    def look(layer, call, args, kwargs):
        known, given = kernels[id(layer)], keras.tree.flatten((args, kwargs))[:1]
        is_data = bool(given) and _is_one_of(data, given[0])
        if known and given and id(layer) not in at_positions:
            key = id(known[0][0])
            if key in seen:
                several.add(key)  # it multiplies several things
            values = _multiplied(layer, call, args, kwargs, given[0], is_data)
            seen[key] = list(zip(known, values, strict=False))
        distributes = isinstance(layer, keras.layers.TimeDistributed)
        at_positions.append(id(layer.layer) if distributes else None)
        outputs = call(*args, **kwargs)
        at_positions.pop()
        if is_data and not layer.weights:
            data.update((id(x), x) for x in keras.tree.flatten(outputs))
        return outputs

    with untouched_averages(model), intercepted(model, look):
        output_of(model, inputs)
    found = [
        _of_inputs(kernel, bias, row, *values)
        for key, parts in seen.items()
        if key not in several
        for (kernel, bias, row), values in parts
    ]
    return [standardised for standardised in found if standardised is not None]


def _multiplied(layer, call, args, kwargs, given, is_data):
    """What each kernel is multiplied by, and whether that is the data.

    There is none for a kernel, the last one or all, that cannot be treated so.
    """
    if not isinstance(layer, keras.layers.RNN):
        return [(given, is_data)]
    region = region_of(layer)
    if region is None or not math.isfinite(region.upper):
        # Such states grow with the weights: what they are in one batch says nothing of
        # the next.
        return [(given, True)] if is_data else []
    return [(given, is_data), (_states(layer, call, args, kwargs), False)]


def _is_one_of(data, x):
    """Whether a tensor is one of these, or in mixed precision made of one by a cast."""
    if id(x) in data or not _floating(x):
        return id(x) in data
    alike = [d for d in data.values() if _floating(d) and d.shape == x.shape]
    return any(np.array_equal(keras.ops.cast(d, x.dtype), x) for d in alike)


def _as_taken_by(model, x):
    x = keras.ops.convert_to_tensor(x)
    return keras.ops.cast(x, model.compute_dtype) if _floating(x) else x


def _floating(x):
    kind = getattr(x, "dtype", None)
    return kind is not None and keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(kind)
    )


def _states(layer, call, args, kwargs):
    """What the recurrent kernel is multiplied by: the states that a step is given."""
    own = vars(layer)
    before = {name: own[name] for name in ("return_sequences", "return_state")}
    # Straight into __dict__: Keras tracks attributes that are set otherwise.
    own["return_sequences"], own["return_state"] = True, False
    try:
        return call(*args, **kwargs)
    finally:
        own.update(before)


def _of_inputs(kernel, bias, row, inputs, is_data):
    values = keras.ops.convert_to_numpy(keras.ops.cast(inputs, "float32"))
    values = values.astype(np.float64).reshape(-1, values.shape[-1])
    if not np.isfinite(values).all():
        return None
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    if bias is None:  # nothing could take the mean
        mean, deviation = np.zeros_like(mean), np.hypot(mean, deviation)
    greatest = deviation.max(initial=0.0)
    if not greatest > 0:
        return None
    if is_data:
        known = deviation > LEAST_OF_DATA * np.abs(values).max(axis=0)
        known &= (values == np.median(values, axis=0)).mean(axis=0) < MOSTLY
        usual = np.median(deviation[known]) if known.any() else greatest
        otherwise = np.maximum(usual, np.ptp(values, axis=0) / 2)
    else:
        known, otherwise = deviation > LEAST_OF_UNITS * greatest, greatest
    deviation = np.where(known, deviation, otherwise)
    return Standardised(kernel, bias, mean[:, None], deviation[:, None], row, is_data)


def _kernels(layer):
    """Of a layer that can be treated its kernels, each with its bias and row."""
    if isinstance(layer, keras.layers.TimeDistributed):
        inner = layer.layer
        return [] if isinstance(inner, keras.layers.RNN) else _kernels(inner)
    if isinstance(layer, keras.layers.RNN):
        if cell_gates(layer) is None:
            return []
        cell = layer.cell
        two = cell.bias is not None and len(cell.bias.shape) == 2
        rows = (0, 1) if two else (None, None)
        kernels = cell.kernel, cell.recurrent_kernel
        known = [(k, cell.bias, r) for k, r in zip(kernels, rows, strict=True)]
    elif isinstance(layer, keras.layers.Dense):
        known = [(layer._kernel, layer.bias, None)]
    elif isinstance(layer, CONVOLUTIONS):
        if layer.data_format != "channels_last" or layer.groups != 1:
            return []
        known = [(layer._kernel, layer.bias, None)]
    else:
        return []
    variables = [v for kernel, bias, _ in known for v in (kernel, bias)]
    return known if not adapted(layer) and all(map(_free, variables)) else []


def _free(variable):
    """Whether it may hold something else for a while."""
    if variable is None:
        return True
    wide = keras.backend.standardize_dtype(variable.dtype) in ("float32", "float64")
    return wide and variable.constraint is None and variable.trainable
