"""Preconditioning: layers trained as though what comes into them were standardised.

The gradient of a kernel is a product with the layer's inputs. Where these are far from
mean 0 and deviation 1, so is what an update does, however well the weights are scaled:
one entry learns a thousand times as fast as another, and the mean stands for all of
them. With the inputs' mean m and deviation s a layer is as well written

    x W + b  =  ((x - m) / s) V + c,    V = s W,    c = b + m W

and V and c are what can be learnt. So for the time of an update, and only then, the
variables hold V and c, and the optimizer is given their gradients. Between two steps
the model is what it always was: nothing in it has to be undone, saved or explained.

References:
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    Desjardins, Simonyan, Pascanu and Kavukcuoglu, "Natural neural networks", 2015.
"""

import numpy as np
import tensorflow as tf

from keras_activations.actions.slots import forget, inner_optimizer
from keras_activations.actions.standardised import Standardised, standardised_layers
from keras_activations.actions.targets import StandardisedTargets
from keras_activations.telemetry.replicas import Replicas


class Preconditioner:
    """Makes updates of some layers as though their inputs were standardised.

    Attributes:
        layers: dict of a kernel's id to its `Standardised`.
        targets: list of `StandardisedTargets`.
        rewritten: bool, see `rewrite`.

    What they hold takes effect when the step is next traced.
    """

    def __init__(self):
        self.layers: dict[int, Standardised] = {}
        self.targets: list[StandardisedTargets] = []
        self.rewritten = False

    @property
    def active(self):
        """Whether anything is standardised."""
        return bool(self.layers or self.targets)

    def units_of(self, variable):
        """What the entries of a kernel are multiplied by to give what is learnt.

        Returns:
            array that broadcasts to the variable's shape, or None for ones.
        """
        layer = self.layers.get(id(variable))
        units = None if layer is None else layer.deviation
        for targets in self.targets:
            if variable is targets.kernel:
                units = (np.ones(1) if units is None else units) / targets.deviation
        return units

    def add(self, model, inputs, optimizer, of_data=False):
        """Standardises what comes into every layer that can be treated so.

        Args:
            model: a built `keras.Model`.
            inputs: one batch, as the model is called with.
            optimizer: its optimizer; slots of the layers begin anew.
            of_data: bool, only where that is the data. Defaults to False.

        Returns:
            bool: whether there was one.
        """
        if not knows_how(model, optimizer):
            return False
        found = standardised_layers(model, inputs)
        self.layers = {id(s.kernel): s for s in found if s.of_data or not of_data}
        self.forget_slots(optimizer)
        return bool(self.layers)

    def leave_units(self, optimizer):
        """Leaves all layers but those that see the data; their slots begin anew."""
        left = [s for s in self.layers.values() if not s.of_data]
        self.layers = {k: s for k, s in self.layers.items() if s.of_data}
        forget(optimizer, _variables(left))

    def rewrite(self, model, inputs, optimizer, beyond=0.0):
        """Has the layers that see the data compute what they would of standardised data.

        Unlike `add` it changes what the model is: its weights are taken to be drawn for
        such data, as initialisers draw them. The arguments are those of `add`, and

        Args:
            beyond: only of data whose root mean square is above it. Defaults to 0.

        Returns:
            bool: whether there was such a layer.
        """
        layers = [
            layer
            for layer in standardised_layers(model, inputs)
            if layer.of_data and layer.size > beyond
        ]
        self.rewritten = bool(layers)
        _rewrite(layers, Standardised.outer)
        forget(optimizer, _variables(layers))
        return bool(layers)

    def forget_slots(self, optimizer):
        """After slots were put back that may be those of other inputs."""
        forget(optimizer, _variables([*self.layers.values(), *self.targets]))

    # In the graph

    def gradients(self, gradients, variables):
        """The gradients of what is learnt, for those of what the variables hold."""
        gradients = list(gradients)
        for targets in self.targets:
            gradients = targets.gradients(gradients, variables)
        for layer, at, bias_at in self._places(gradients, variables):
            bias = None if bias_at is None else gradients[bias_at]
            gradients[at], bias = layer.gradients(gradients[at], bias)
            if bias_at is not None:
                gradients[bias_at] = bias
        return gradients

    def around(self, update, gradients, variables):
        """Has an update made while the variables hold what is learnt."""
        layers = [layer for layer, _, _ in self._places(gradients, variables)]
        for targets in self.targets:
            targets.enter()
        _rewrite(layers, Standardised.inner)
        update()
        _rewrite(layers, Standardised.outer)
        for targets in self.targets:
            targets.leave()

    def _places(self, gradients, variables):
        known = {
            id(variable): place
            for place, variable in enumerate(variables)
            if gradients[place] is not None
        }
        for layer in self.layers.values():
            bias = None if layer.bias is None else known.get(id(layer.bias))
            if id(layer.kernel) in known and (layer.bias is None or bias is not None):
                yield layer, known[id(layer.kernel)], bias


def _variables(layers):
    return [v for layer in layers for v in (layer.kernel, layer.bias)]


def _rewrite(layers, how):
    for layer in layers:
        bias = None if layer.bias is None else tf.convert_to_tensor(layer.bias.value)
        kernel, bias = how(layer, tf.convert_to_tensor(layer.kernel.value), bias)
        layer.kernel.assign(kernel)
        if bias is not None:
            layer.bias.assign(bias)


def knows_how(model, optimizer):
    """Whether the updates of a model may be made in other terms."""
    if Replicas(model.distribute_strategy).merged:
        return False  # replicas may not assign to what they share
    # An average of the weights would be one of V.
    return not getattr(inner_optimizer(optimizer), "use_ema", False)
