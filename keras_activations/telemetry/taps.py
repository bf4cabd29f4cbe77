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

from keras_activations.telemetry import masks


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
        is_own = getattr(call, "__func__", None) is type(layer).call
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
            masks.keep_masks((args, kwargs))
            before = len(self.record.outputs)
            output = call(*args, **kwargs)
            inside = [tensor for _, tensor in self.record.outputs[before:]]
            masks.tell_masks(layer, kwargs.get("mask"), output, inside)
            self._note(layer, output)
            if is_own:
                self.record.add_call(layer, args[0] if args else None, output)
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
