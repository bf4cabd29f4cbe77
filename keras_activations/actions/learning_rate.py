"""The learning rate, backed off while a run goes on."""

import contextlib
from typing import Any

import keras

from keras_activations.actions.slots import inner_optimizer


class BackedOff(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a factor; in place only while a step is traced."""

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.factor * self.schedule(step)


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


@contextlib.contextmanager
def slowed(optimizer, factor, greatest_momentum=1.0):
    """While it is open, the optimizer's schedule is slowed down, its momentum limited.

    Args:
        factor: of the schedule, if it has one.
        greatest_momentum: what the momentum is lowered to where it is greater.
    """
    changed: dict[str, Any] = {}
    schedule = schedule_of(optimizer)
    if factor != 1.0 and schedule is not None:
        changed["_learning_rate"] = BackedOff(schedule, factor)
    if momentum_of(optimizer) > greatest_momentum:
        changed["momentum"] = greatest_momentum
    # Straight into __dict__: Keras tracks attributes that are set otherwise.
    own = vars(inner_optimizer(optimizer))
    before = {name: own[name] for name in changed}
    own.update(changed)
    try:
        yield
    finally:
        own.update(before)
