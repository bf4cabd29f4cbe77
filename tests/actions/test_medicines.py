"""Which medicine is chosen, by what was found and its cause."""

import keras
import pytest
from keras import layers

from keras_activations.actions import medicines
from keras_activations.health.finding import CAUSES, RULES, Finding

PLAIN = [layers.Dense(2, "tanh")]
RECURRENT = [layers.Reshape((3, 1)), layers.LSTM(2)]
EXPONENTIAL = [layers.Dense(2, "exponential")]


def chosen(rule, cause="unknown", hidden=PLAIN):
    model = keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(1)])
    finding = Finding(7, 0, "dense", rule, 1.0, 0.0, "rescue", "Ill.", cause)
    return medicines.for_finding(finding, model)


@pytest.mark.parametrize(
    ("rule", "cause", "hidden", "first"),
    [
        ("saturation", "large_weights", PLAIN, medicines.RESCALE),
        ("saturation", "unknown", RECURRENT, medicines.RESCALE),
        ("dead_units", "dead_bias", PLAIN, medicines.RESCALE),
        ("dead_units", "learning_rate", PLAIN, medicines.RESTORE_OLDER),
        ("dead_units", "unscaled_inputs", PLAIN, medicines.RESTORE_AND_CLIP),
        ("vanishing_gradient", "small_weights", PLAIN, medicines.RESCALE),
        ("nonfinite", "bad_gradient", PLAIN, medicines.ZERO),
        ("nonfinite", "unknown", PLAIN, medicines.RESTORE),
        ("nonfinite", "overflow", EXPONENTIAL, medicines.RESCALE_AND_BOUND),
        ("nonfinite", "unknown", RECURRENT, medicines.SHRINK_RECURRENT),
        ("exploding_gradient", "unknown", RECURRENT, medicines.SHRINK_RECURRENT),
        ("exploding_gradient", "learning_rate", PLAIN, medicines.RESTORE),
        ("exploding_gradient", "unscaled_targets", PLAIN, medicines.RESTORE_AND_CLIP),
        ("exploding_gradient", "large_weights", PLAIN, medicines.RESCALE_AND_CLIP),
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
