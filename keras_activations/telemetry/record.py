"""Records: what one training step computed."""

import keras
import tensorflow as tf

from keras_activations.telemetry.fusion import repeated


class StepRecord:
    """What one training step computed, in execution order.

    Args:
        step: int64 scalar tensor, the number of this training step.
        sampling: boolean scalar tensor: are distributions sampled in this step?

    Attributes:
        graph: the graph being traced, or None when running eagerly.
        outputs: list of `(layer, tensor)`; a layer called twice appears twice.
        calls: list of `(layer, first input, output)`, of those whose code is their
            class's; the input may be None.
        fused: ids of outputs that are not read, see `fusion.fused`.
        gradients_of_the_tape: whether gradients are what the tape gave for this step.
        states: ids of those that a recurrent layer hands on beside its output.
        gradients: list of `(variable, values)`, see `faults.watched_values`.
        squares: squared L2 norm of each of those gradients, summed over replicas.
        norms: the same with the scale of the loss taken out.
        weights_before: vectors of sampled weights before an update.
        dropped: booleans, one an optimizer: was its update held back?
        update_norms: squared norms of what those updates learn of.
        loss: the loss before scaling, or None.
        batch: floating tensors of inputs, targets and sample weights: three lists.
    """

    def __init__(self, step, sampling):
        self.step = step
        self.sampling = sampling
        self.graph = current_graph()
        self.outputs = []
        self.calls = []
        self.fused = set()
        self.gradients_of_the_tape = False
        self.states = set()
        self.gradients = []
        self.squares = []
        self.norms = []
        self.weights_before = []
        self.dropped = []
        self.update_norms = []
        self.loss = None
        self.batch: list[list[tf.Tensor]] = [[], [], []]
        self._model_outputs = []
        self._forward = True

    def add_batch(self, data):
        # A `train_step` of the user's own may take data of any structure.
        usual = isinstance(data, tuple | list) and 1 <= len(data) <= 3
        parts = [*data, None, None][:3] if usual else [data, None, None]
        self.batch = [floating_tensors(part) for part in parts]

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

    def read(self, output):
        """An output, or what may be read in its place."""
        return repeated(output) if id(output) in self.fused else output

    def is_model_output(self, tensor):
        return any(tensor is output for output in self._model_outputs)

    def add_loss(self, loss):
        self.end_forward()
        if current_graph() is self.graph:
            self.loss = loss

    def end_forward(self):
        self._forward = False


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
