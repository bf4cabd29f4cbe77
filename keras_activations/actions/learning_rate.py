"""The learning rate, backed off while a run goes on."""

import contextlib
import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_activations.actions.slots import inner_optimizer

BACK_OFF = 0.1  # what a rate that may be too high is multiplied by


@dataclasses.dataclass
class Limits:
    """What updates are held to; it takes effect when the step is next traced.

    Attributes:
        factor: what a learning rate schedule is multiplied by.
        rate: what is then the greatest that it gives.
        momentum: what a greater momentum of the optimizer is lowered to.
    """

    factor: float = 1.0
    rate: float = math.inf
    momentum: float = 1.0


class Limited(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule within `Limits`; in place only while a step is traced."""

    def __init__(self, schedule, limits):
        self.schedule = schedule
        self.limits = limits

    def __call__(self, step):
        rate = self.limits.factor * self.schedule(step)
        if math.isinf(self.limits.rate):
            return rate
        return keras.ops.minimum(rate, self.limits.rate)


def schedule_of(optimizer):
    """The optimizer's schedule, None where its rate is a number."""
    rate = inner_optimizer(optimizer)._learning_rate
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    return rate if is_schedule else None


def rate_of(optimizer):
    """The learning rate of now as a float, None where it is no number."""
    rate = getattr(inner_optimizer(optimizer), "_learning_rate", None)
    if not isinstance(rate, keras.Variable):
        return None
    return float(keras.ops.convert_to_numpy(rate.value))


class RateWatch:
    """Sees a learning rate that is a number being raised, from step to step.

    Args:
        optimizer: the optimizer.
    """

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self._rate = None

    def raised_from(self):
        """What the rate was at the last look, where it has grown over tenfold since.

        Returns:
            float, or None where it has not, or is no number.
        """
        before, self._rate = self._rate, rate_of(self._optimizer)
        grown = before and self._rate and before < BACK_OFF * self._rate
        return before if grown else None


def back_off(optimizer, factor):
    """Multiplies a learning rate that is a number.

    Returns:
        the rate after, a float.
    """
    after = rate_of(optimizer) * factor
    inner_optimizer(optimizer)._learning_rate.assign(after)
    return after


def keep_below(optimizer, greatest):
    """Lowers a learning rate that is a number, if it is greater than that."""
    if rate_of(optimizer) > greatest:
        inner_optimizer(optimizer)._learning_rate.assign(greatest)


def momentum_of(optimizer):
    """The share of an update that comes again with the next one, 0 where unknown."""
    momentum = getattr(inner_optimizer(optimizer), "momentum", 0.0)
    return float(momentum) if isinstance(momentum, (int, float)) else 0.0


def greatest_of(schedule, begin, end):
    """The greatest rate that a schedule gives from one step to another, about."""
    steps = np.unique(np.linspace(begin, max(begin, end), 64).astype(np.int64))
    return max(float(schedule(tf.constant(step))) for step in steps)


@contextlib.contextmanager
def within(optimizer, limits):
    """While it is open, the optimizer keeps to `Limits`."""
    changed: dict[str, Any] = {}
    schedule = schedule_of(optimizer)
    if schedule is not None and (limits.factor != 1.0 or limits.rate < math.inf):
        changed["_learning_rate"] = Limited(schedule, limits)
    if momentum_of(optimizer) > limits.momentum:
        changed["momentum"] = limits.momentum
    # Straight into __dict__: Keras tracks attributes that are set otherwise.
    own = vars(inner_optimizer(optimizer))
    before = {name: own[name] for name in changed}
    own.update(changed)
    try:
        yield
    finally:
        own.update(before)
