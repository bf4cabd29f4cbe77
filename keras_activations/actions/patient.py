"""The patient: a model in training, and all that can be done to it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_activations.actions.bounds import Bounds
from keras_activations.actions.learning_rate import keep_below
from keras_activations.actions.snapshots import Snapshots


class Untreatable(Exception):
    """A medicine that cannot be given to this patient; the message says why."""


@dataclasses.dataclass
class Patient:
    """A model in training.

    Attributes:
        model: the `keras.Model`.
        optimizer: its optimizer, or None.
        guard: the `UpdateGuard` in its step.
        bounds: the `Bounds` of its activations.
        snapshots: its `Snapshots`.
        trace_anew: callable that has the step traced anew before it next runs; None
            in a loop by hand, where the user has traced it.
        greatest_rate: the learning rate that was too high was lowered to this.
    """

    model: keras.Model
    optimizer: Any
    guard: Any
    bounds: Bounds
    snapshots: Snapshots
    trace_anew: Callable | None = None
    greatest_rate: float = math.inf

    def keep_rate(self):
        """Keeps a lowered learning rate low: a callback may set it before each step."""
        if self.greatest_rate < math.inf:
            keep_below(self.optimizer, self.greatest_rate)

    def retrace(self):
        """Has the step traced anew.

        Raises:
            Untreatable: in a loop by hand.
        """
        if self.trace_anew is None:
            raise Untreatable(
                "the step would have to be traced anew, and in a training loop written "
                "by hand that is not the monitor's to do"
            )
        self.trace_anew()

    def restore(self, older=False):
        """Goes back to a snapshot; see `Snapshots.restore`."""
        step = self.snapshots.restore(older)
        self.guard.preconditioner.forget_slots(self.optimizer)
        return step

    def standardise_inputs(self, inputs):
        """Makes updates as though the inputs of each layer were standardised.

        Returns:
            bool: whether that can be done.
        """
        if self.trace_anew is None:
            return False
        done = self.guard.preconditioner.add(self.model, inputs, self.optimizer)
        if done:
            self.guard.norms.learn_anew()
            self.trace_anew()
        return done

    def clip_gradients(self, at_most=math.inf):
        """Clips gradients to their usual norm from now on, and `at_most` to that.

        Returns:
            float, the norm.
        """
        norms = self.guard.norms
        norms.clip_from_now_on(at_most)
        self.let_clip()
        return float(norms.clip.numpy())

    def let_clip(self):
        """Makes clipping part of the step, where it is not yet."""
        if not self.guard.clipping:
            self.guard.clipping = True
            self.retrace()

    def inputs_of(self, batch):
        """What the model is called with, given a batch of the training data.

        Raises:
            Untreatable: if the batch is not as Keras's own `train_step` takes it.
        """
        try:
            inputs, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        except ValueError as error:
            raise Untreatable(str(error)) from error
        strategy = self.model.distribute_strategy
        return tf.nest.map_structure(
            lambda x: strategy.experimental_local_results(x)[0], inputs
        )
