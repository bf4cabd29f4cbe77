"""Records: what one training step computed."""

import copy

import keras
import tensorflow as tf

from keras_activations.telemetry.fusion import inputs_of_repeated, repeated
from keras_activations.telemetry.masks import padding_mask


class StepRecord:
    """What one training step computed, in execution order.

    Args:
        step: int64 scalar tensor, the number of this training step.
        sampling: boolean scalar tensor: are distributions sampled in this step?
        xla: bool, may XLA compile the step? Defaults to False.

    Attributes:
        graph: the graph being traced, or None when running eagerly.
        outputs: list of `(layer, tensor)`; a layer called twice appears twice.
        calls: list of `(layer, first input, output)`, of those whose code is their
            class's; the input may be None.
        fused: ids of outputs that are not read, see `fusion.fused`.
        gradients_of_the_tape: whether gradients are what the tape gave for this step.
        states: ids of those that a recurrent layer hands on beside its output.
        gradients: list of `(variable, values)`, see `faults.watched_values`.
        scales: of each of those gradients the scale of its loss, or None.
        squares: squared L2 norm of each of those gradients, summed over replicas.
        norms: the same with the scale of the loss taken out.
        weights_before: vectors of sampled weights before an update.
        dropped: booleans, one an optimizer: was its update held back?
        update_norms: squared norms of what those updates learn of.
        loss: the loss before scaling, or None.
        batch: floating tensors of inputs, targets and sample weights: three lists.
    """

    def __init__(self, step, sampling, xla=False):
        self.step = step
        self.sampling = sampling
        self.xla = xla
        self.graph = current_graph()
        self.outputs = []
        self.calls = []
        self.fused = set()
        self.gradients_of_the_tape = False
        self.states = set()
        self.gradients = []
        self.scales = []
        self.squares = []
        self.norms = []
        self.weights_before = []
        self.dropped = []
        self.update_norms = []
        self.loss = None
        self.batch: list[list[tf.Tensor]] = [[], [], []]
        self._masks = {}
        self._there = lambda tensor: tensor
        self._model_outputs = []
        self._forward = True

    def add_batch(self, data):
        self.batch = floating_parts(data)

    def add_output(self, layer, value):
        # Rematerialised layers run again during the backward pass.
        if not self._forward:
            return
        # The body of a loop or of a condition is out of reach of the step's graph;
        # what leaves it is the output of the layer around it.
        if current_graph() is not self.graph:
            return
        # The last output of a recurrent layer may be one of its states as well.
        tensors = list({id(x): x for x in floating_tensors(value)}.values())
        self.outputs += [(layer, tensor) for tensor in tensors]
        if isinstance(layer, keras.layers.RNN):
            self.states |= {id(tensor) for tensor in tensors[1:]}

    def add_call(self, layer, given, output):
        """Notes a call, also where outputs are not noted."""
        self.calls.append((layer, given, output))

    def add_model_output(self, value):
        self._model_outputs += keras.tree.flatten(value)

    def by_layer(self):
        """The outputs as pairs of a layer and the list of its outputs."""
        calls: dict = {}
        for layer, tensor in self.outputs:
            calls.setdefault(id(layer), (layer, []))[1].append(tensor)
        return list(calls.values())

    def read(self, output):
        """An output, or what may be read in its place."""
        unread = id(output) in self.fused
        return repeated(output, self.xla, self._there) if unread else output

    def mask_of(self, output):
        """The mask of an output, see `masks.padding_mask`."""
        if id(output) not in self._masks:
            self._masks[id(output)] = padding_mask(output)
        return self._masks[id(output)]

    def in_terms_of(self, there):
        """The record of the same step with other tensors in the place of its own.

        What is not to be read keeps its place, and is repeated of other tensors.

        Args:
            there: callable `tensor -> tensor`, asked for each that may be read.
        """
        outputs = {id(x): x for _, x in self.outputs}
        for key, output in outputs.items():
            if key not in self.fused:
                outputs[key] = there(output)
                continue
            for tensor in inputs_of_repeated(output, self.xla):
                there(tensor)
        other = copy.copy(self)
        other.graph = current_graph()
        other.step, other.sampling = there(self.step), there(self.sampling)
        other.outputs = [(layer, outputs[id(x)]) for layer, x in self.outputs]
        other.calls = [
            (layer, *(outputs.get(id(x)) for x in ends)) for layer, *ends in self.calls
        ]
        other.states = {id(outputs[state]) for state in self.states}
        other.gradients = [(variable, there(x)) for variable, x in self.gradients]
        other.scales = [None if x is None else there(x) for x in self.scales]
        other.squares = [there(x) for x in self.squares]
        other.norms = [there(x) for x in self.norms]
        other.weights_before = [there(x) for x in self.weights_before]
        other.loss = None if self.loss is None else there(self.loss)
        other.batch = [[there(x) for x in part] for part in self.batch]
        masks = {id(outputs[id(x)]): self.mask_of(x) for _, x in self.outputs}
        other._masks = {x: m if m is None else there(m) for x, m in masks.items()}
        other._model_outputs = [outputs.get(id(x)) for x in self._model_outputs]
        other._there = there
        return other

    def is_model_output(self, tensor):
        return any(tensor is output for output in self._model_outputs)

    def add_loss(self, loss):
        self.end_forward()
        if current_graph() is self.graph:
            self.loss = tf.convert_to_tensor(loss)

    def end_forward(self):
        self._forward = False


def floating_parts(data):
    """The floating tensors of a batch: of inputs, targets and sample weights."""
    # A `train_step` of the user's own may take data of any structure.
    usual = isinstance(data, tuple | list) and 1 <= len(data) <= 3
    parts = [*data, None, None][:3] if usual else [data, None, None]
    return [floating_tensors(part) for part in parts]


def floating_tensors(structure):
    """The floating tensors in a nested structure."""
    return [
        x
        for x in keras.tree.flatten(structure)
        if isinstance(x, tf.Tensor) and x.dtype.is_floating
    ]


def current_graph():
    """The graph being traced, or None when running eagerly."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
