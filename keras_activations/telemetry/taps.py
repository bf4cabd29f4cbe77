"""Taps: see what each layer puts out while a training step is traced.

A tap stands in for `layer.call` in the layer's own `__dict__`, hands its output on
untouched (the very same object: Keras tensors carry masks and logits as attributes)
and notes it in the `StepRecord` of the running trace. Taps are there only while a
step is being traced, or run eagerly; afterwards the layers are as they were.
"""

import contextlib
import functools
import threading
from collections.abc import Callable

import keras
import tensorflow as tf

# Kept on an output beside Keras's own `_keras_mask`, which is taken off again or wrong.
OWN_MASK = "_keras_activations_mask"


class StepRecord:
    """What one training step computed, in execution order.

    Args:
        step: int64 scalar tensor, the number of this training step.
        sampling: boolean scalar tensor: are distributions sampled in this step?

    Attributes:
        graph: the graph being traced, or None when running eagerly.
        outputs: list of `(layer, tensor)`; a layer called twice appears twice.
        states: ids of those that a recurrent layer hands on beside its output.
        gradients: list of `(variable, values)`, see `faults.watched_values`.
        squares: squared L2 norm of each of those gradients, in this replica.
        norms: the same for the gradients of all replicas together.
        weights_before: vectors of sampled weights before an update.
        dropped: booleans, one an optimizer: was its update held back?
        loss: the loss before scaling, or None.
        inputs: floating tensors of the batch.
    """

    def __init__(self, step, sampling):
        self.step = step
        self.sampling = sampling
        self.graph = current_graph()
        self.outputs = []
        self.states = set()
        self.gradients = []
        self.squares = []
        self.norms = []
        self.weights_before = []
        self.dropped = []
        self.loss = None
        self.inputs = []
        self._model_outputs = []
        self._forward = True

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

    def add_model_output(self, value):
        self._model_outputs += keras.tree.flatten(value)

    def is_model_output(self, tensor):
        return any(tensor is output for output in self._model_outputs)

    def add_loss(self, loss):
        self.end_forward()
        if current_graph() is self.graph:
            self.loss = loss

    def end_forward(self):
        self._forward = False


class Taps:
    """The taps of one model, put in place together and removed together.

    Args:
        model: a `keras.Model`.
        selected: callable `layer -> bool`: is its distribution sampled?
        on_apply: callable `(optimizer, apply, gradients, variables)` run in
            place of `optimizer.apply`; it must call `apply(gradients, variables)`.
    """

    def __init__(self, model, selected, on_apply):
        self._model = model
        self._selected = selected
        self._on_apply = on_apply
        self._records = threading.local()  # a replica is traced in a thread of its own
        # In a loop by hand: `(training)` before a call of the model, and after it.
        self.on_call: Callable | None = None
        self.on_return: Callable | None = None
        self._lock = threading.RLock()
        self._users = 0
        self._tapped = set()
        self._replaced = []

    @property
    def record(self):
        """The `StepRecord` being filled in this thread, or None."""
        return getattr(self._records, "current", None)

    @record.setter
    def record(self, record):
        self._records.current = record

    @contextlib.contextmanager
    def in_place(self, optimizers):
        """Puts the taps in place; they go when the last user leaves."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._tap_layer(self._model)
                for optimizer in optimizers:
                    self._tap_optimizer(optimizer)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._remove()

    def _remove(self):
        while self._replaced:
            owner, name, was_set, before = self._replaced.pop()
            if was_set:
                vars(owner)[name] = before
            else:
                vars(owner).pop(name, None)
        self._tapped.clear()

    def _replace(self, owner, name, tap):
        # Straight into __dict__: Keras and TensorFlow track attributes set otherwise.
        attributes = vars(owner)
        self._replaced.append((owner, name, name in attributes, attributes.get(name)))
        attributes[name] = tap

    def _tap_layer(self, layer):
        if id(layer) in self._tapped:
            return
        self._tapped.add(id(layer))
        call = layer.call
        inner = sublayers(layer)

        @functools.wraps(call)
        def tapped(*args, **kwargs):
            outermost = layer is self._model
            if outermost and self.on_call:
                self.on_call(kwargs.get("training"))
            if self.record is None:
                return call(*args, **kwargs)
            # Here the layer is built, and so are the layers its `build` creates.
            with self._lock:
                for sublayer in sublayers(layer):
                    self._tap_layer(sublayer)
            _keep_masks((args, kwargs))
            before = len(self.record.outputs)
            output = call(*args, **kwargs)
            inside = [tensor for _, tensor in self.record.outputs[before:]]
            _tell_masks(layer, kwargs.get("mask"), output, inside)
            self._note(layer, output)
            if outermost and self.on_return:
                self.on_return()
            return output

        self._replace(layer, "call", tapped)
        for sublayer in inner:
            self._tap_layer(sublayer)

    def _note(self, layer, output):
        record = self.record
        if layer is self._model:
            record.add_model_output(output)
        if sublayers(layer) and not self._selected(layer):
            # A composite hands on what a layer inside it made, or adds sums of its own.
            seen = {id(tensor) for _, tensor in record.outputs}
            output = [x for x in keras.tree.flatten(output) if id(x) not in seen]
        record.add_output(layer, output)

    def _tap_optimizer(self, optimizer):
        apply, scale_loss = optimizer.apply, optimizer.scale_loss

        @functools.wraps(apply)
        def tapped_apply(grads, trainable_variables=None):
            if self.record is None:
                return apply(grads, trainable_variables)
            if trainable_variables is None:
                variables = optimizer._trainable_variables
            else:
                variables = list(trainable_variables)
            return self._on_apply(optimizer, apply, list(grads), variables)

        @functools.wraps(scale_loss)
        def tapped_scale_loss(loss):
            if self.record is not None:
                self.record.add_loss(loss)
            return scale_loss(loss)

        self._replace(optimizer, "apply", tapped_apply)
        self._replace(optimizer, "scale_loss", tapped_scale_loss)


def sublayers(layer):
    """The layers directly inside a layer; none for recurrent layers.

    The cell of a recurrent layer runs in a loop, or not at all when a fused kernel
    takes its place, so the recurrent layer itself is what can be watched.
    """
    if isinstance(layer, keras.layers.RNN):
        return []
    return [
        inner
        for inner in layer._flatten_layers(include_self=False, recursive=False)
        if not isinstance(inner, keras.layers.InputLayer)
    ]


def all_layers(model):
    """Every layer inside a model that a tap can reach, at any depth, each once."""
    found, waiting = {}, sublayers(model)
    while waiting:
        layer = waiting.pop(0)
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting = sublayers(layer) + waiting
    return list(found.values())


def floating_tensors(structure):
    """The floating tensors in a nested structure."""
    return [
        x
        for x in keras.tree.flatten(structure)
        if isinstance(x, tf.Tensor) and x.dtype.is_floating
    ]


def padding_mask(output):
    """The mask that Keras carries with a layer's output, None where all is data.

    Keras sets it once the layer's own call is done: ask at the end of the step.

    Returns:
        boolean tensor over the leading axes of the output, False for padding, or None.
    """
    mask = getattr(output, OWN_MASK, None)
    if mask is None:
        mask = getattr(output, "_keras_mask", None)
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)  # 0 and 1 are masks as well
    if mask.shape.rank is None or output.shape.rank is None:
        return None
    leading = output.shape[: mask.shape.rank]
    if not mask.shape.is_compatible_with(leading):
        return None
    if mask.shape.is_fully_defined() and leading.is_fully_defined():
        return mask
    # A layer that hands masks on may have changed the axes that they are over.
    fits = tf.equal(tf.shape(mask), tf.shape(output)[: mask.shape.rank])
    return mask | ~tf.reduce_all(fits)


def _keep_masks(inputs):
    """Keeps the masks of tensors that are about to go into a layer.

    Attention takes them off its inputs, which are the outputs of other layers.
    """
    for tensor in keras.tree.flatten(inputs):
        mask = getattr(tensor, "_keras_mask", None)
        if mask is not None and not hasattr(tensor, OWN_MASK):
            setattr(tensor, OWN_MASK, mask)


def _tell_masks(layer, mask, output, inside):
    """Gives outputs a mask where Keras carries none, or one in another order.

    Args:
        layer: a layer whose call is done.
        mask: the mask that it was called with, or None.
        output: what it put out.
        inside: outputs of the layers inside it, in order.
    """
    if mask is None:
        return
    if isinstance(layer, keras.layers.TimeDistributed):
        # Calls the layer inside by its `call`, for one time step after the other.
        steps = output.shape[1]
        for place, tensor in enumerate(inside):
            if getattr(tensor, "_keras_mask", None) is None:
                setattr(tensor, OWN_MASK, mask[:, place * steps // len(inside)])
    elif getattr(layer, "go_backwards", False) and layer.return_sequences:
        # Puts out the last time step first, but carries the mask of its input.
        mask = keras.tree.flatten(mask)[0]
        setattr(keras.tree.flatten(output)[0], OWN_MASK, tf.reverse(mask, [1]))


def current_graph():
    """The graph being traced, or None when running eagerly."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
