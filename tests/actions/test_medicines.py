"""Which medicine is chosen, by what was found and its cause."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers

from keras_activations.actions import medicines, prescriptions, remedies
from keras_activations.actions.batches import Batch
from keras_activations.actions.bounds import Bounds
from keras_activations.actions.guard import UpdateGuard
from keras_activations.actions.patient import Patient
from keras_activations.actions.snapshots import Snapshots
from keras_activations.actions.traits import too_large
from keras_activations.actions.untreatable import NothingToChange, Untreatable
from keras_activations.health.finding import CAUSES, RULES, Finding
from tests.actions.patients import patient_of

SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.002, 1000, 0.9)

SHRINK = medicines.SHRINK_AND_STANDARDISE
TARGETS = medicines.RESTART_WITH_TARGETS


def plain():
    return [layers.Dense(2, "tanh")]


def recurrent():
    return [layers.Reshape((3, 1)), layers.LSTM(2)]


def exponential():
    return [layers.Dense(2, "exponential")]


def chosen(rule, cause="unknown", hidden=plain, optimizer=None, updates=1, **facts):
    optimizer = optimizer or keras.optimizers.Adam()
    optimizer.iterations.assign(updates)
    model = keras.Sequential([keras.Input((3,)), *hidden(), layers.Dense(1)])
    finding = Finding(7, 0, "dense", rule, 1.0, 0.0, "rescue", "Ill.", cause)
    return prescriptions.for_finding(finding, patient_of(model, optimizer, **facts))


@pytest.mark.parametrize(
    ("rule", "cause", "hidden", "first"),
    [
        ("saturation", "large_weights", plain, medicines.RESTART_WITH_USUAL_WEIGHTS),
        ("saturation", "unknown", plain, medicines.RESCALE),
        ("saturation", "unknown", recurrent, medicines.RESCALE),
        ("dead_units", "dead_bias", plain, medicines.RESTART_WITHOUT_BIASES),
        ("saturation", "dead_bias", plain, medicines.RESTART_WITHOUT_BIASES),
        ("saturation", "alike_weights", plain, medicines.RESTART_WITH_NEW_WEIGHTS),
        ("nonfinite", "alike_weights", plain, medicines.RESTART_WITH_NEW_WEIGHTS),
        ("dead_units", "learning_rate", plain, medicines.RESTORE_OLDER),
        ("dead_units", "unscaled_inputs", plain, medicines.RESTART_FOR_DATA),
        ("nonfinite", "unscaled_inputs", plain, medicines.RESTART_FOR_DATA),
        ("dead_units", "unknown", plain, medicines.RESTART_ALIVE),
        ("dead_units", "small_weights", plain, medicines.RESTART_ALIVE),
        ("dead_units", "weight_decay", plain, medicines.RESTORE_AND_LIMIT_DECAY),
        ("vanishing_gradient", "small_weights", plain, medicines.RESTART),
        ("vanishing_gradient", "unknown", plain, medicines.RESTART),
        ("nonfinite", "bad_gradient", plain, medicines.ZERO),
        ("nonfinite", "unknown", plain, medicines.RESTORE),
        ("nonfinite", "overflow", exponential, medicines.RESTART),
        ("nonfinite", "unknown", recurrent, SHRINK),
        ("exploding_gradient", "unknown", recurrent, SHRINK),
        ("exploding_gradient", "learning_rate", recurrent, medicines.RESTORE),
        ("exploding_gradient", "learning_rate", plain, medicines.RESTORE),
        ("exploding_gradient", "unscaled_targets", plain, TARGETS),
        ("dead_units", "unscaled_targets", plain, TARGETS),
        ("nonfinite", "unscaled_targets", plain, TARGETS),
        ("saturation", "unscaled_targets", plain, TARGETS),
        ("exploding_gradient", "large_weights", plain, medicines.RESTART),
    ],
)
def test_the_first_one(rule, cause, hidden, first):
    assert chosen(rule, cause, hidden)[0] is first


def test_before_the_first_update_there_is_nothing_to_go_back_to():
    assert chosen("nonfinite", updates=0)[0] is medicines.SHRINK
    first, *_ = chosen("nonfinite", "large_weights", updates=0)
    assert first is medicines.RESTART_WITH_USUAL_WEIGHTS


@pytest.mark.parametrize("rule", ["saturation", "dead_units", "vanishing_gradient"])
def test_what_was_scaled_down_is_not_scaled_up_again(rule):
    [only] = chosen(rule, "small_weights", shrunk=True)
    with pytest.raises(Untreatable, match="nothing overflows"):
        only.give(None, None, None)


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ("saturation", "small_weights"),
        ("dead_units", "small_weights"),
        ("dead_units", "unknown"),
        ("vanishing_gradient", "small_weights"),
    ],
)
def test_sgd_is_treated_gently_first(rule, cause):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    first, *others = chosen(rule, cause, optimizer=optimizer)
    assert first is medicines.RESCALE_FIRST
    assert 1 <= len(others) <= 2  # more are never tried


@pytest.mark.parametrize(
    ("activation", "first"),
    [
        ("tanh", medicines.RESTART_WITH_USUAL_WEIGHTS),
        ("sigmoid", medicines.RESCALE),  # from usual weights it learns slowly
    ],
)
def test_large_weights(activation, first):
    hidden = layers.Dense(2, activation)
    model = keras.Sequential([keras.Input((3,)), hidden, layers.Dense(1)])
    facts = "saturation", 1.0, 0.0, "rescue", "Ill.", "large_weights"
    finding = Finding(7, 0, hidden.path, *facts)
    assert prescriptions.for_finding(finding, patient_of(model))[0] is first


@pytest.mark.parametrize("rule", ["saturation", "dead_units"])
def test_exponentials_begin_anew(rule):
    assert chosen(rule, "large_weights", exponential)[0] is medicines.RESTART


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cause", sorted(set(CAUSES) - {"bad_data"}))
def test_there_is_one_for_every_rule_and_cause(rule, cause):
    assert 1 <= len(chosen(rule, cause)) <= 3


def test_of_bad_data_only_the_updates_are_dropped():
    assert chosen("nonfinite", "bad_data") == []


@pytest.mark.parametrize("cause", ["unknown", "large_weights"])
@pytest.mark.parametrize("rule", ["saturation", "dead_units"])
def test_a_rate_that_was_lowered_may_still_be_too_high(rule, cause):
    model = keras.Sequential([keras.Input((3,)), *plain(), layers.Dense(1)])
    finding = Finding(7, 0, "dense", rule, 1.0, 0.0, "rescue", "Ill.", cause)
    patient = patient_of(model, greatest_rate=0.1)
    first, *_ = prescriptions.for_finding(finding, patient)
    assert first is medicines.RESCALE_AND_SLOW


def test_layers_with_kernels_far_too_large():
    def wide(units, **options):
        return layers.Dense(units, kernel_initializer=large, **options)

    large = keras.initializers.RandomNormal(stddev=2.0, seed=1)
    hidden = [
        layers.Dense(9, "tanh"),
        wide(9),
        layers.LSTM(4),
        wide(3, trainable=False),
    ]
    model = keras.Sequential([keras.Input((4, 7)), *hidden, layers.Dense(1)])
    assert too_large(model) == [hidden[1].path]


@pytest.mark.parametrize(
    ("rate", "raised", "clip"),
    [(0.002, 0.002, 5.0), (0.002, 0.6, 50.0), (SCHEDULE, None, 5.0)],
)
def test_only_a_rate_that_was_put_back_leaves_gradients_room_to_grow(
    rate, raised, clip
):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    optimizer = keras.optimizers.Adam(rate)
    patient = patient_of(model, optimizer, norm=5.0, trace_anew=lambda: None)
    patient.snapshots.take(1)
    patient.guard.used = True
    if raised is not None:
        optimizer.learning_rate = raised
    finding = Finding(
        7, 0, "dense", "saturation", 1.0, 0.0, "rescue", "Ill.", "learning_rate"
    )
    medicines.RESTORE.give(patient, finding, None)
    assert float(patient.guard.norms.clip.numpy()) == clip


def test_exponentials_that_overflow_again_are_bounded():
    model = keras.Sequential([keras.Input((3,)), *exponential(), layers.Dense(1)])
    model.compile("adam", "mse")
    snapshots = Snapshots(model, model.optimizer)
    snapshots.take(1)
    guard, bounds = UpdateGuard(model), Bounds(model)
    patient = Patient(model, model.optimizer, guard, bounds, snapshots)
    guard.used = True
    finding = Finding(7, 0, "dense", "exploding_gradient", 1.0, 0.0, "rescue", "Ill.")
    patient.trace_anew = lambda: None
    text = medicines.RESTORE.give(patient, finding, None)
    path = model.layers[0].path
    assert text.endswith(f"keeps the pre-activations of {path} within [-2, 2]")
    assert bounds.of(path) == (-2, 2)


def test_a_momentum_gathered_at_too_high_a_rate_is_not_restored():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    snapshots = Snapshots(model, model.optimizer)
    guard = UpdateGuard(model)
    patient = Patient(model, model.optimizer, guard, Bounds(model), snapshots)
    patient.trace_anew = lambda: None
    x = np.random.default_rng(0).normal(size=(8, 3))
    model.fit(x, x[:, :1], verbose=0)
    patient.snapshots.take(1)
    patient.guard.used = True
    for cause, kept in (("unknown", True), ("learning_rate", False)):
        finding = Finding(
            7, 0, "dense", "saturation", 1.0, 0.0, "rescue", "Ill.", cause
        )
        medicines.RESTORE.give(patient, finding, None)
        assert any(v.numpy().any() for v in model.optimizer.momentums) == kept


def test_units_that_are_sound_are_not_the_matter():
    model = keras.Sequential([keras.Input((3,)), *plain(), layers.Dense(1)])
    patient = patient_of(model)
    batch = Batch(np.random.default_rng(0).normal(size=(64, 3)).astype("float32"))
    finding = Finding(7, 0, "dense", "saturation", 1.0, 0.0, "rescue", "Ill.")
    with contextlib.suppress(NothingToChange):
        remedies.rescaled(patient, finding, batch)
    with pytest.raises(NothingToChange, match="sound size already"):
        remedies.rescaled(patient, finding, batch)


def test_what_comes_apart_of_standardised_units_goes_on_without():
    model = keras.Sequential([keras.Input((3,)), *plain(), layers.Dense(1)])
    patient = patient_of(model)
    assert not patient.standardises_units
    x = np.random.default_rng(0).normal(size=(8, 3))
    patient.guard.preconditioner.add(model, x, None)
    assert patient.standardises_units
    finding = Finding(7, 0, "dense", "nonfinite", 1.0, 0.0, "rescue", "Ill.")
    first, *_ = prescriptions.for_finding(finding, patient)
    assert first is medicines.RESTORE_PLAIN
    patient.guard.preconditioner.leave_units(None)
    assert not patient.standardises_units
    assert patient.guard.preconditioner.active  # the data are standardised still


def test_layers_are_rewritten_for_the_data_once():
    # Where updates cannot be made in other terms, as in a loop by hand, nothing else tells.
    model = keras.Sequential([keras.Input((3,)), *plain(), layers.Dense(1)])
    patient = patient_of(model)
    x = np.random.default_rng(0).normal(50.0, [1.0, 20.0, 300.0], size=(32, 3))
    assert patient.rewrite_for_data(x)
    kernel = model.layers[0].kernel.numpy()
    assert not patient.rewrite_for_data(x)
    np.testing.assert_array_equal(model.layers[0].kernel, kernel)
