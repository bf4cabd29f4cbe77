"""Targets: a model trained as though its targets had mean 0 and deviation 1.

Targets of deviation s make the gradients of all hidden layers of a regression s times
as large, and those of its output layer have to carry weights of that size. With

    x W + b  =  s (x V + c) + t,    V = W / s,    c = (b - t) / s

the loss of the scaled targets is the loss divided by s to its degree, and V and c are
what can be learnt of it. As in `preconditioning`, the variables hold them for the time
of an update only, and the model is what it always was.

Reference:
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_activations.actions.feeds import (
    NotTaken,
    intercepted,
    output_of,
    untouched_averages,
)
from keras_activations.actions.gradients import scaled

# How a loss grows with the targets' scale.
_DEGREES = {"mean_squared_error": 2, "mean_absolute_error": 1}
_AS_BUILT = 3.0


class OtherTargets(Exception):
    """Targets that cannot be scaled so; the message says why."""


@dataclasses.dataclass(frozen=True)
class StandardisedTargets:
    """The layer that puts out what is compared with the targets.

    Attributes:
        kernel, bias: its variables.
        mean: of the targets, array of shape `(outputs,)`.
        deviation: of all of them together, float.
        degree: of the loss, int.
    """

    kernel: keras.Variable
    bias: keras.Variable
    mean: np.ndarray
    deviation: float
    degree: int

    @property
    def loss_factor(self):
        """What the loss of the scaled targets is multiplied by."""
        return self.deviation**-self.degree

    def gradients(self, gradients, variables):
        """The gradients of what is learnt of the scaled targets."""
        own = id(self.kernel), id(self.bias)
        return [
            scaled(g, self.loss_factor * (self.deviation if id(v) in own else 1.0))
            for g, v in zip(gradients, variables, strict=True)
        ]

    def enter(self):
        """Has the variables hold V and c."""
        self.kernel.assign(self.kernel / self.deviation)
        self.bias.assign((self.bias - self.mean) / self.deviation)

    def leave(self):
        """Has them hold W and b again."""
        self.kernel.assign(self.kernel * self.deviation)
        self.bias.assign(self.bias * self.deviation + self.mean)

    def begin(self, predict):
        """Moves the outputs of one batch to where learning of scaled targets begins.

        Args:
            predict: callable that gives these outputs.
        """
        spread = np.std(keras.ops.convert_to_numpy(predict()))
        # As an initialiser leaves it, and far from what is to be learnt.
        if spread < _AS_BUILT and spread * _AS_BUILT < self.deviation:
            self.kernel.assign(self.kernel * self.deviation)
        outputs = keras.ops.convert_to_numpy(predict()).reshape(-1, len(self.mean))
        self.bias.assign_add(self.mean - outputs.mean(axis=0))


def standardised_targets(model, inputs, targets):
    """`StandardisedTargets` of a model.

    Args:
        model: a compiled `keras.Model`.
        inputs, targets: one batch.

    Raises:
        OtherTargets: if they cannot be had.
    """
    degree = _degree(model)
    layer = _output_layer(model, inputs)
    values = keras.tree.flatten(targets)
    if len(values) != 1 or values[0] is None:
        raise OtherTargets("there is not one array of targets")
    values = np.asarray(values[0], np.float64)
    if layer.units > 1 and values.shape[-1:] != (layer.units,):
        raise OtherTargets("the targets do not have the shape of the output")
    values = values.reshape(-1, layer.units)
    deviation = values.std(axis=0).max(initial=0.0)
    if not (np.isfinite(values).all() and 0 < deviation < 1e15):
        raise OtherTargets("the targets are not finite, or all the same")
    bias, dtype = layer.bias, layer.bias.dtype
    mean = values.mean(axis=0).astype(dtype)
    return StandardisedTargets(layer._kernel, bias, mean, float(deviation), degree)


def _degree(model):
    try:
        loss = keras.losses.get(model.loss)
    except (TypeError, ValueError):
        loss = None
    # A loss is an object or a function.
    name = getattr(getattr(loss, "fn", loss), "__name__", "")
    if name not in _DEGREES or model.losses:
        raise OtherTargets("the loss is not a mean of squares or of distances alone")
    return _DEGREES[name]


def _output_layer(model, inputs):
    layers: dict = {}
    called: dict = {}
    outputs = []

    def look(layer, call, args, kwargs):
        outputs.append(call(*args, **kwargs))  # kept, so that no id is given twice
        # Of a model inside the model, its layer comes first.
        layers.setdefault(id(outputs[-1]), layer)
        called[id(layer)] = called.get(id(layer), 0) + 1
        return outputs[-1]

    with untouched_averages(model), intercepted(model, look):
        try:
            output = output_of(model, inputs)
        except NotTaken as error:
            raise OtherTargets(str(error)) from error
    layer = layers.get(id(output))
    free = isinstance(layer, keras.layers.Dense) and _free(layer)
    if not free or called[id(layer)] > 1:
        raise OtherTargets("the output is not that of one linear Dense layer")
    return layer


def _free(layer):
    variables = layer._kernel, layer.bias
    return (
        layer.activation is keras.activations.linear
        and not getattr(layer, "lora_enabled", False)
        and all(
            v is not None and v.trainable and v.constraint is None for v in variables
        )
        and all(tf.as_dtype(v.dtype).size >= 4 for v in variables)
    )
