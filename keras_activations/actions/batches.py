"""Batches: what a medicine is shown of the training data."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from keras_activations.actions.untreatable import Untreatable


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a model was called with, and the targets where they are known."""

    inputs: Any
    targets: Any = None


def batch_of(model, data):
    """A `Batch` of the training data, of the first replica's share.

    Args:
        model: a `keras.Model`.
        data: what its `train_step` is given.

    Raises:
        Untreatable: if it is not as Keras's own `train_step` takes it.
    """
    try:
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
    except ValueError as error:
        raise Untreatable(str(error)) from error
    strategy = model.distribute_strategy
    return Batch(
        *tf.nest.map_structure(
            lambda x: strategy.experimental_local_results(x)[0], (inputs, targets)
        )
    )
