"""Looks at a step that is sampled, or in which something is not finite.

That takes many small passes over what the step computed, each of which XLA compiles for
itself: together they took as long as the training step. A step that XLA compiles can
therefore hand out what it computed, to be looked at outside of it.
"""

import tensorflow as tf

from keras_activations.telemetry import faults
from keras_activations.telemetry.record import floating_parts
from keras_activations.telemetry.sampling import in_one_call


def look(record, bank):
    """Notes in the bank what is to be noted of a step; mostly nothing.

    Args:
        record: a `StepRecord`.
        bank: the `Bank` of its layout.
    """
    healthy = faults.healthy(record)

    def noted():
        _when(~healthy, lambda: _count_faults(record, bank))
        _when(record.sampling, lambda: _sample(record, bank))

    # What is not done is one call.
    _when(record.sampling | ~healthy, in_one_call(noted))


class HandedOut:
    """What steps computed, on the way out of what XLA compiles."""

    def __init__(self):
        self._traced = {}

    def clear(self):
        """Forgets the steps that were traced so far."""
        self._traced.clear()

    def give(self, record, bank):
        """Tensors to be among the results of a step that is being traced.

        A trace may serve again in another graph, where only its results are known:
        their key tells whose they are.
        """
        read: dict[int, tf.Tensor] = {}
        record.in_terms_of(lambda tensor: read.setdefault(id(tensor), tensor))
        for tensor in _flat(record.batch):  # they are known outside
            read.pop(id(tensor), None)
        name = f"step_{len(self._traced)}"
        self._traced[name] = record, bank, list(read)
        return {name: list(read.values())}

    def take(self, handed_out, data):
        """A record of the step with the tensors that came of it, and its bank.

        Args:
            handed_out: what `give` gave, outside.
            data: the batch, outside.
        """
        ((name, tensors),) = handed_out.items()
        record, bank, ids = self._traced[name]
        outside = dict(zip(ids, tensors, strict=True))
        batch = zip(_flat(record.batch), _flat(floating_parts(data)), strict=True)
        outside |= {id(tensor): there for tensor, there in batch}
        return record.in_terms_of(lambda tensor: outside[id(tensor)]), bank


def _flat(parts):
    return [tensor for part in parts for tensor in part]


def _count_faults(record, bank):
    layers = record.by_layer()
    counts = faults.counts(record, layers)
    meant = faults.only_masked(record, layers, counts)
    shared = [kind == "gradient" for kind, _ in bank.layout.sources]
    bank.add_faults(record.step, bank.replicas.once(counts, shared), meant)


def _sample(record, bank):
    outputs = [
        [
            (record.read(x), record.mask_of(x))
            for x in calls
            if id(x) not in record.states
        ]
        for entry, (_, calls) in zip(bank.layout.layers, record.by_layer(), strict=True)
        if entry.sampled
    ]
    before = record.weights_before
    before = tf.concat(before, axis=0) if before else None
    inputs, targets, _ = record.batch
    loss = [] if record.loss is None else [record.loss]
    bank.add_sample(record.step, outputs, before, (inputs, targets, loss))


def _when(condition, effect):
    """Runs `effect`, which returns nothing, if the condition holds."""

    def run():
        effect()
        return tf.constant(True)

    tf.cond(condition, run, lambda: tf.constant(False))
