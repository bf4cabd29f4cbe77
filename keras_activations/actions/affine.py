"""Layers that scale and shift each of their units, and the weights that do it."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np


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


def adapted(layer):
    """Whether its kernel is quantised, or adapted by LoRA."""
    lora = getattr(layer, "lora_enabled", False)
    return bool(lora or getattr(layer, "quantization_mode", None))


def mixable(layer):
    """Whether each unit has a column of the kernel of its own, for the same inputs."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.groups == 1 and layer.data_format == "channels_last"
    return isinstance(layer, keras.layers.Dense)


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
