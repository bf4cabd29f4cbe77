"""How far a learning rate is lowered that may be too high."""

import math

import keras
import pytest
from keras import layers

from keras_activations.actions import remedies
from keras_activations.actions.learning_rate import within
from keras_activations.actions.slowing import slowed
from tests.actions.patients import patient_of


@pytest.mark.parametrize(
    ("stride", "cause", "rate"),
    [
        (15.0, "learning_rate", 1e-2),
        (1.5, "learning_rate", 0.1),
        (None, "learning_rate", 0.1),
        (math.inf, "learning_rate", 0.1),
        (15.0, "unknown", 0.1),
    ],
)
def test_a_rate_is_lowered_until_its_updates_are_small(stride, cause, rate):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = keras.optimizers.SGD(1.0)
    patient = patient_of(model, optimizer, stride=stride)
    slowed(patient, cause)
    assert float(optimizer.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("kind", "norm", "clipped_to", "rate"),
    [
        (keras.optimizers.SGD, 1e4, (0.0, 1.0), 0.1),
        (keras.optimizers.SGD, 5.0, (5.0, 50.0), 1e-4),
        (keras.optimizers.SGD, math.inf, (0.0, math.inf), 1e-4),
        (keras.optimizers.SGD, None, (0.0, math.inf), 1e-4),
        (keras.optimizers.Adam, 1e4, (0.0, 1e5), 1e-4),  # which goes no further for it
    ],
)
def test_gradients_that_are_far_too_large_are_no_reason_for_a_tiny_rate(
    kind, norm, clipped_to, rate
):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = kind(1.0)
    patient = patient_of(model, optimizer, stride=1500.0, norm=norm)
    assert remedies.sound_norms(patient, "learning_rate") == clipped_to
    slowed(patient, "learning_rate")
    assert float(optimizer.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("cause", "rate"), [("learning_rate", 0.002), ("unknown", 0.06)]
)
def test_a_rate_that_was_raised_goes_back_to_what_it_was(cause, rate):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.002)
    patient = patient_of(model, optimizer)
    patient.snapshots.take(1)
    optimizer.learning_rate = 0.6
    slowed(patient, cause)
    assert float(optimizer.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("trace_anew", "rate", "momentum"), [(None, 0.01, 0.99), (lambda: None, 0.1, 0.9)]
)
def test_a_great_momentum_is_lowered_or_else_the_rate_further(
    trace_anew, rate, momentum
):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = keras.optimizers.SGD(1.0, momentum=0.99)
    patient = patient_of(model, optimizer, stride=0.1, trace_anew=trace_anew)
    done = slowed(patient, "learning_rate")
    assert float(optimizer.learning_rate) == pytest.approx(rate)
    assert patient.momentum == momentum
    assert ("lowered the momentum from 0.99 to 0.9 for this fit" in done) == (
        momentum == 0.9
    )
    assert optimizer.momentum == 0.99  # the user's own


class Raised(keras.optimizers.schedules.LearningRateSchedule):
    """0.02 for a hundred updates, then so many times more."""

    def __init__(self, times):
        self.times = times

    def __call__(self, step):
        return 0.02 * keras.ops.where(step < 100, 1.0, self.times)


@pytest.mark.parametrize(
    ("times", "taken", "cause", "rates"),
    [
        (30.0, 80, "learning_rate", (0.02, 0.02)),
        (5.0, 80, "learning_rate", (0.002, 0.01)),  # a tenth is low enough
        (30.0, 80, "unknown", (0.002, 0.06)),
        (30.0, 0, "learning_rate", (0.002, 0.06)),  # nothing has been sound
        (1e4, 80, "learning_rate", (0.02, 2.0)),  # it may have been warming up
    ],
)
def test_a_schedule_that_has_grown_goes_back_to_what_it_was(times, taken, cause, rates):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = keras.optimizers.Adam(Raised(times))
    optimizer.build(model.trainable_variables)
    patient = patient_of(model, optimizer, trace_anew=lambda: None)
    patient.snapshots.take(taken)
    optimizer.iterations.assign(120)
    [text] = slowed(patient, cause)
    seen = []
    for step in (50, 150):
        optimizer.iterations.assign(step)
        with within(optimizer, patient.guard.limits):
            seen.append(float(optimizer.learning_rate))
    assert seen == pytest.approx(rates)
    assert text.endswith("for this fit")
