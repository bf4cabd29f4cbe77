"""What a step changes, held so that it can be put back."""

import keras
import tensorflow as tf


class Held:
    """The values of a model's variables before a step, put back if the step was bad.

    They share the variables' memory until these are assigned to.

    Args:
        model: the `keras.Model`.
        optimizer: None, where the trainable weights and what belongs to the optimizer
            are left alone.
    """

    def __init__(self, model, optimizer=None):
        self._strategy = model.distribute_strategy
        averages = list(model.non_trainable_weights)
        if optimizer is not None:
            averages += model.trainable_variables + _state(optimizer)
        self._values = self._read(averages)
        self._metrics = self._read(model.metrics_variables)

    def put_back(self):
        """Assigns the values that were held.

        Metrics count the step all the same unless it would leave NaN in them, to be
        seen for the rest of the epoch.
        """
        for variable, value in self._values:
            variable.assign(value)
        for variable, value in self._metrics:
            variable.assign(_finite_or(value, variable))

    def _read(self, variables):
        # Each replica has its own copy.
        copies = [
            copy
            for variable in variables
            for copy in self._strategy.experimental_local_results(variable.value)
        ]
        return [(copy, tf.identity(copy)) for copy in copies]


def _state(optimizer):
    # The scale of the loss follows from the very steps that are put back.
    own = []
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and optimizer.built:
        own = [id(optimizer.step_counter), id(optimizer.dynamic_scale)]
    return [v for v in optimizer.variables if id(v) not in own]


def _finite_or(value, variable):
    if not variable.dtype.is_floating:
        return variable.read_value()
    return tf.where(tf.reduce_all(tf.math.is_finite(variable)), variable, value)
