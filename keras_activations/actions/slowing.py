"""Slowing: a learning rate that may be too high is lowered."""

import math

from keras_activations.actions import learning_rate
from keras_activations.actions.learning_rate import BACK_OFF
from keras_activations.actions.slots import inner_optimizer
from keras_activations.actions.untreatable import Untreatable
from keras_activations.health import suspects
from keras_activations.health.weights import lasting

# Size of an update that a rate is lowered to at least, where the rate was the cause.
LEAST = 2 * suspects.LONG_STRIDE
USUAL_MOMENTUM = 0.9
# What is left at least of a schedule that had been far lower before: it may have begun
# near 0, to warm up.
LEAST_LEFT = 0.01


def slowed(patient, cause, older=False):
    """The learning rate is lowered, by more than tenfold where it was the cause.

    So is a momentum that is the more of the cause. Where a callback or the schedule has
    raised the rate since the snapshot, it is no higher than it was until then.

    Args:
        older: bool, which snapshot that is, see `Snapshots.restore`. Defaults to False.

    Returns:
        list of texts.
    """
    factor, stride = BACK_OFF, patient.stride or 0.0
    steadied = []
    if cause == "learning_rate":
        steadied = _steadied(patient)
        factor /= lasting(patient.momentum)
    # How far an update goes is in proportion to the rate, whatever the optimizer.
    while cause == "learning_rate" and LEAST < stride * factor < math.inf:
        factor *= BACK_OFF
    patient.stride = stride * factor
    if learning_rate.schedule_of(patient.optimizer) is not None:
        patient.retrace()
        limits = patient.guard.limits
        sound = _sound(patient, factor) if cause == "learning_rate" else None
        if sound is not None:
            limits.rate = sound
            text = f"limited the learning rate schedule to {sound:g} for this fit"
            return [*steadied, text]
        limits.factor *= factor
        limits.rate *= factor
        text = (
            f"multiplied the learning rate schedule by {limits.factor:g} for this fit"
        )
        return [*steadied, text]
    before = learning_rate.rate_of(patient.optimizer)
    if before is None:
        raise Untreatable("the learning rate is neither a number nor a schedule")
    sound = patient.snapshots.rate(older)
    if cause == "learning_rate" and before and sound:
        factor = min(factor, sound / before)
    after = patient.greatest_rate = learning_rate.back_off(patient.optimizer, factor)
    return [*steadied, f"lowered the learning rate from {before:g} to {after:g}"]


def _sound(patient, factor):
    """The greatest rate of a schedule until the snapshot, where it has grown since.

    None where the factor alone takes it lower.
    """
    optimizer = inner_optimizer(patient.optimizer)
    now = int(optimizer.iterations)
    # A schedule counts updates.
    then = patient.snapshots.step // (optimizer.gradient_accumulation_steps or 1)
    if not 0 < then < now:
        return None
    schedule = learning_rate.Limited(
        learning_rate.schedule_of(optimizer), patient.guard.limits
    )
    before = learning_rate.greatest_of(schedule, 0, then)
    since = learning_rate.greatest_of(schedule, then, now)
    if not before < factor * since:
        return None
    return max(before, LEAST_LEFT * since)


def _steadied(patient):
    """A momentum far above the usual one is lowered, where that can be: a list of texts."""
    before = patient.momentum
    if before <= USUAL_MOMENTUM or patient.trace_anew is None:
        return []
    patient.retrace()
    patient.guard.limits.momentum = USUAL_MOMENTUM
    return [f"lowered the momentum from {before:g} to {USUAL_MOMENTUM:g} for this fit"]
