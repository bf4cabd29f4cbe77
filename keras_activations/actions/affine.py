"""Layers that scale and shift each of their units, and how to do it to them."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

# What a unit's pre-activation may have, in units of what is sound: outside, it is
# centred and scaled.
FURTHEST_MEAN = 1.0
SMALLEST, GREATEST = 0.5, 2.0
CONSTANT = 1e-6  # a smaller deviation, beside the mean, is none


@dataclasses.dataclass(frozen=True)
class Affine:
    """The weights by which a layer scales and shifts its units.

    Attributes:
        kernel: the variable that scales a unit, or None.
        bias: the one that shifts it, or None.
        axes: axes of the layer's output that make up a unit, not negative.
        on_kernel, on_bias: callables that bring an array of one value a unit into a
            shape that multiplies the kernel, or adds to the bias.
        initializer: of the kernel.
    """

    kernel: keras.Variable | None
    bias: keras.Variable | None
    axes: tuple[int, ...]
    on_kernel: Callable
    on_bias: Callable
    initializer: Callable | None = None

    @property
    def variables(self):
        return [v for v in (self.kernel, self.bias) if v is not None]


def affine(layer, rank):
    """The `Affine` of a layer whose output has that rank; None for other layers."""
    for kinds, make in _KINDS:
        if isinstance(layer, kinds):
            return make(layer, rank)
    return None


class Sound(NamedTuple):
    """What the pre-activations of a unit should be.

    Attributes:
        mean, deviation: floats.
        apart: bool, whether units should not vary together.
    """

    mean: float = 0.0
    deviation: float = 1.0
    apart: bool = False


USUAL = Sound()


def standardise(weights, pre_activation, drawn=False, sound=USUAL):
    """Gives each unit a sound mean and deviation, unless it is not far from that.

    Without a bias units are scaled to that root mean square. Constant units are left.

    Args:
        weights: an `Affine`.
        pre_activation: array of what the layer puts out without its activation.
        drawn: boolean array, or False: the units that have learnt nothing yet, which
            are changed however far from it they are.
        sound: `Sound`.

    Returns:
        boolean array: the units that were changed.
    """
    mean, deviation = _moments(weights, pre_activation)
    least, most = SMALLEST * sound.deviation, GREATEST * sound.deviation
    if weights.bias is None:
        size = np.hypot(mean, deviation)
        ill = (size < least) | (size > most)
        mean, deviation = np.zeros_like(mean), size
    else:
        mean = mean - sound.mean
        ill = np.abs(mean) > FURTHEST_MEAN * sound.deviation
        if weights.kernel is not None:
            ill |= (deviation < least) | (deviation > most)
    ill = (ill | drawn) & ~constant_units(weights, pre_activation)
    if weights.kernel is None:
        deviation = np.full_like(deviation, sound.deviation)
    scale = np.where(ill, sound.deviation / np.where(ill, deviation, 1.0), 1.0)
    if weights.kernel is not None:
        _assign(weights.kernel, _array(weights.kernel) * weights.on_kernel(scale))
    if weights.bias is not None:
        # With m what it is and m' what it should be: (b - m) scale + m'.
        shift = np.where(ill, (mean + sound.mean) * scale - sound.mean, 0.0)
        shift, scale = weights.on_bias(shift), weights.on_bias(scale)
        _assign(weights.bias, _array(weights.bias) * scale - shift)
    return ill


def constant_units(weights, pre_activation):
    """Boolean array: the units that are the same for every input."""
    mean, deviation = _moments(weights, pre_activation)
    return deviation <= CONSTANT * np.maximum(np.abs(mean), 1.0)


def restart_units(weights, units, initializer):
    """Draws the weights of some units anew; their bias is 0 then."""
    kernel, bias = weights.kernel, weights.bias
    anew = keras.ops.convert_to_numpy(initializer(kernel.shape, dtype="float32"))
    _assign(kernel, np.where(weights.on_kernel(units), anew, _array(kernel)))
    if bias is not None:
        _assign(bias, np.where(weights.on_bias(units), 0.0, _array(bias)))


def adapted(layer):
    """Whether its kernel is quantised, or adapted by LoRA."""
    lora = getattr(layer, "lora_enabled", False)
    return bool(lora or getattr(layer, "quantization_mode", None))


def mixable(layer):
    """Whether each unit has a column of the kernel of its own, for the same inputs."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.groups == 1 and layer.data_format == "channels_last"
    return isinstance(layer, keras.layers.Dense)


def _moments(weights, pre_activation):
    values = keras.ops.convert_to_numpy(keras.ops.cast(pre_activation, "float32"))
    others = tuple(i for i in range(values.ndim) if i not in weights.axes)
    values = values.astype(np.float64)
    return values.mean(axis=others), values.std(axis=others)


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def _assign(variable, value):
    variable.assign(value.astype(variable.dtype))


def _same(values):
    return values


def _dense(layer, rank):
    kernel, bias = layer._kernel, layer.bias
    return Affine(kernel, bias, (rank - 1,), _same, _same, layer.kernel_initializer)


def _channels(layer, rank):
    return (1,) if layer.data_format == "channels_first" else (rank - 1,)


def _convolution(layer, rank):
    axes = _channels(layer, rank)
    init = layer.kernel_initializer
    return Affine(layer._kernel, layer.bias, axes, _same, _same, init)


def _transposed(layer, rank):
    def before_inputs(values):
        return values[..., None]

    axes = _channels(layer, rank)
    init = layer.kernel_initializer
    return Affine(layer.kernel, layer.bias, axes, before_inputs, _same, init)


def _depthwise(layer, rank):
    def by_channel(values):
        return values.reshape(layer.kernel.shape[-2:])

    axes = _channels(layer, rank)
    init = layer.depthwise_initializer
    return Affine(layer.kernel, layer.bias, axes, by_channel, _same, init)


def _separable(layer, rank):
    axes, kernel = _channels(layer, rank), layer.pointwise_kernel
    init = layer.pointwise_initializer
    return Affine(kernel, layer.bias, axes, _same, _same, init)


def _einsum(layer, rank):
    inputs, output = layer.equation.split("->")
    inputs, kernel = (part.replace("...", "") for part in inputs.split(","))
    after = output.split("...")[-1]
    features = [label for label in after if label in kernel and label not in inputs]
    if layer.bias is not None:
        # One bias for several units makes them one.
        features = [label for label in features if label in layer.bias_axes]
    if not features:
        return None
    # Counted from the end, where an ellipsis does not matter.
    axes = tuple(rank - len(after) + after.index(label) for label in features)
    in_kernel = [label for label in kernel if label in features]

    def on_kernel(values):
        values = np.transpose(values, [features.index(label) for label in in_kernel])
        sizes = zip(kernel, layer._kernel.shape, strict=True)
        return values.reshape(
            [size if label in features else 1 for label, size in sizes]
        )

    def on_bias(values):
        return values.reshape(layer.bias.shape)

    init = layer.kernel_initializer
    return Affine(layer._kernel, layer.bias, axes, on_kernel, on_bias, init)


def _normalisation(layer, rank):
    axis = layer.axis
    if isinstance(axis, (list, tuple)):
        if len(axis) != 1:
            return None
        axis = axis[0]
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    if gamma is None and beta is None:
        return None
    return Affine(gamma, beta, (axis % rank,), _same, _same, layer.gamma_initializer)


# Their kernels are laid out as a dense one behind the axes of space.
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
# The first that fits: a depthwise convolution is no `Conv2D`, but they share bases.
_KINDS = [
    (keras.layers.Dense, _dense),
    (keras.layers.EinsumDense, _einsum),
    ((keras.layers.SeparableConv1D, keras.layers.SeparableConv2D), _separable),
    ((keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D), _depthwise),
    (
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        _transposed,
    ),
    (CONVOLUTIONS, _convolution),
    (NORMALISATIONS, _normalisation),
]
