"""Targets: a model trained as though its targets had mean 0 and deviation 1.

Targets of deviation s make the gradients of all hidden layers of a regression s times
as large, and those of its output layer have to carry weights of that size. With

    x W + b  =  s (x V + c) + t,    V = W / s,    c = (b - t) / s

the loss of the scaled targets is the loss divided by s to its degree, and V and c are
what can be learnt of it. As in `preconditioning`, the variables hold them for the time
of an update only, and the model is what it always was. Of several outputs each has a
loss of its own, so that it is at the output that the gradient is made smaller.

Reference:
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_activations.actions.degrees import degree
from keras_activations.actions.feeds import (
    NotTaken,
    intercepted,
    output_of,
    untouched_averages,
)
from keras_activations.actions.gradients import scaled
from keras_activations.actions.pairing import NotPaired, paired
from keras_activations.health.suspects import UNSCALED_TARGETS

_AS_BUILT = 3.0


class OtherTargets(Exception):
    """Targets that cannot be scaled so; the message says why."""


@dataclasses.dataclass(frozen=True)
class StandardisedTargets:
    """A layer that puts out what is compared with targets.

    Attributes:
        layer: the Dense layer.
        place: int, which of the model's outputs it gives.
        mean: of the targets, array of shape `(outputs,)`.
        deviation: of all of them together, float.
        degree: of the loss, int.
    """

    layer: Any
    place: int
    mean: np.ndarray
    deviation: float
    degree: int

    @property
    def kernel(self):
        return self.layer._kernel

    @property
    def bias(self):
        return self.layer.bias

    @property
    def loss_factor(self):
        """What the loss, and so the gradient at the output, is multiplied by."""
        return self.deviation**-self.degree

    def gradients(self, gradients, variables):
        """The gradients of V and c, where that at the output was multiplied so."""
        own = id(self.kernel), id(self.bias)
        return [
            scaled(g, self.deviation) if id(v) in own else g
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
            predict: callable that gives the model's outputs.
        """
        spread = np.std(self._of(predict()))
        # As an initialiser leaves it, and far from what is to be learnt.
        if spread < _AS_BUILT and spread * _AS_BUILT < self.deviation:
            self.kernel.assign(self.kernel * self.deviation)
        outputs = self._of(predict()).reshape(-1, len(self.mean))
        self.bias.assign_add(self.mean - outputs.mean(axis=0))

    def _of(self, outputs):
        return keras.ops.convert_to_numpy(keras.tree.flatten(outputs)[self.place])


def standardised_targets(model, inputs, targets, only_large=False):
    """The outputs of a model that can learn so, a list of `StandardisedTargets`.

    Of several outputs those whose targets are scaled already are left alone.

    Args:
        model: a compiled `keras.Model`.
        inputs, targets: one batch.
        only_large: bool, a single output whose targets are scaled already is left alone
            too. Defaults to False.

    Raises:
        OtherTargets: if there are none.
    """
    outputs, layers = _outputs(model, inputs)
    try:
        pairs = paired(model, outputs, targets)
    except NotPaired as error:
        raise OtherTargets(str(error)) from error
    found, reasons = [], []
    for place, (given, loss) in enumerate(pairs):
        try:
            values = _array(given)
            if _large(values) or not (only_large or len(pairs) > 1):
                found.append(_standardised(layers[place], place, values, loss))
        except OtherTargets as reason:
            reasons.append(str(reason))
    if not found:
        raise OtherTargets(
            "; ".join(reasons) or "no output has targets of a large size"
        )
    return found


def _array(values):
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise OtherTargets("the targets are not an array of numbers") from error


def _large(values):
    return bool(np.sqrt(np.mean(np.square(values))) > UNSCALED_TARGETS)


def _standardised(layer, place, values, loss):
    if layer is None:
        raise OtherTargets("the output is not that of one linear Dense layer")
    if layer.units > 1 and values.shape[-1:] != (layer.units,):
        raise OtherTargets("the targets do not have the shape of the output")
    values = values.reshape(-1, layer.units)
    deviation = float(values.std(axis=0).max(initial=0.0))
    if not (np.isfinite(values).all() and 0 < deviation < 1e15):
        raise OtherTargets("the targets are not finite, or all the same")
    grows = degree(loss, values)
    if grows is None:
        raise OtherTargets("the loss is not one of distances to the targets alone")
    mean = values.mean(axis=0).astype(layer.bias.dtype)
    return StandardisedTargets(layer, place, mean, deviation, grows)


def _outputs(model, inputs):
    """The outputs for a batch, and for each the free linear layer it is of, or None."""
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
    found = [layers.get(id(each)) for each in keras.tree.flatten(output)]
    return output, [x if _free(x) and called[id(x)] == 1 else None for x in found]


def _free(layer):
    if not isinstance(layer, keras.layers.Dense):
        return False
    variables = layer._kernel, layer.bias
    return (
        layer.activation is keras.activations.linear
        and not getattr(layer, "lora_enabled", False)
        and layer.kernel_regularizer is None
        and layer.bias_regularizer is None
        # The gradient at the output is made very small.
        and tf.as_dtype(layer.compute_dtype).size >= 4
        and all(
            v is not None and v.trainable and v.constraint is None for v in variables
        )
        and all(tf.as_dtype(v.dtype).size >= 4 for v in variables)
    )
