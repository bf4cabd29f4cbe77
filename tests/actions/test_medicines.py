"""Which medicine is chosen, by what was found and its cause."""

import keras
import pytest
from keras import layers

from keras_activations.actions import medicines
from keras_activations.health.finding import CAUSES, RULES, Finding

SHRINK = medicines.SHRINK_AND_STANDARDISE
TARGETS = medicines.RESTART_WITH_TARGETS


def plain():
    return [layers.Dense(2, "tanh")]


def recurrent():
    return [layers.Reshape((3, 1)), layers.LSTM(2)]


def exponential():
    return [layers.Dense(2, "exponential")]


def chosen(rule, cause="unknown", hidden=plain):
    model = keras.Sequential([keras.Input((3,)), *hidden(), layers.Dense(1)])
    finding = Finding(7, 0, "dense", rule, 1.0, 0.0, "rescue", "Ill.", cause)
    return medicines.for_finding(finding, model)


@pytest.mark.parametrize(
    ("rule", "cause", "hidden", "first"),
    [
        ("saturation", "large_weights", plain, medicines.RESCALE),
        ("saturation", "unknown", recurrent, medicines.RESCALE),
        ("dead_units", "dead_bias", plain, medicines.RESCALE),
        ("dead_units", "learning_rate", plain, medicines.RESTORE_OLDER),
        ("dead_units", "unscaled_inputs", plain, medicines.RESTART),
        ("dead_units", "unknown", plain, medicines.RESTART_ALIVE),
        ("vanishing_gradient", "small_weights", plain, medicines.RESTART),
        ("nonfinite", "bad_gradient", plain, medicines.ZERO),
        ("nonfinite", "unknown", plain, medicines.RESTORE),
        ("nonfinite", "overflow", exponential, medicines.RESTART),
        ("nonfinite", "unknown", recurrent, SHRINK),
        ("exploding_gradient", "unknown", recurrent, SHRINK),
        ("exploding_gradient", "learning_rate", plain, medicines.RESTORE),
        ("exploding_gradient", "unscaled_targets", plain, TARGETS),
        ("dead_units", "unscaled_targets", plain, TARGETS),
        ("nonfinite", "unscaled_targets", plain, TARGETS),
        ("exploding_gradient", "large_weights", plain, medicines.RESTART),
    ],
)
def test_the_first_one(rule, cause, hidden, first):
    assert chosen(rule, cause, hidden)[0] is first


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cause", sorted(set(CAUSES) - {"bad_data"}))
def test_there_is_one_for_every_rule_and_cause(rule, cause):
    assert 1 <= len(chosen(rule, cause)) <= 3


def test_of_bad_data_only_the_updates_are_dropped():
    assert chosen("nonfinite", "bad_data") == []
