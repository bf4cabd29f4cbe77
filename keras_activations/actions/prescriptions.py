"""Prescriptions: which medicines are tried against what was found, in which order."""

from keras_activations.actions import medicines as m
from keras_activations.actions.remedies import goes_further
from keras_activations.actions.traits import (
    growing_layers,
    one_sided,
    recurrent_layers,
)
from keras_activations.health.saturation import IN_REACH

# Rules whose findings rescaling may heal.
OF_ACTIVATIONS = ("saturation", "dead_units", "vanishing_gradient")
# Causes that a learning rate still too high may look like.
_OF_A_RATE = ("unknown", "large_weights")
# Causes that are plain to see, whatever else was done before.
PLAIN = {"unscaled_inputs", "unscaled_targets", "weight_decay"}


def for_finding(finding, patient):
    """The medicines against what was found, to be tried one after the other.

    Args:
        finding: a `Finding`.
        patient: the `Patient`.
    """
    model = patient.model
    if finding.medicine == IN_REACH:
        return [m.NONE_IN_REACH]
    if patient.shrunk and finding.rule in OF_ACTIVATIONS:
        return [m.NONE_WHERE_SHRUNK]
    if finding.cause == "unscaled_targets":
        return [m.RESTART_WITH_TARGETS, m.RESTORE_AND_CLIP, m.RESTORE]
    if finding.cause == "weight_decay":
        return [m.RESTORE_AND_LIMIT_DECAY, m.RESTART, m.RESTORE]
    if finding.cause == "alike_weights":
        return [m.RESTART_WITH_NEW_WEIGHTS, m.RESCALE, m.RESTORE]
    if finding.rule in OF_ACTIVATIONS:
        if finding.cause == "learning_rate":
            return [m.RESTORE_OLDER, m.RESTORE_OLDER, m.RESCALE]
        if finding.cause == "unscaled_inputs":
            return [m.RESTART_FOR_DATA, m.RESTART, m.RESTORE_AND_CLIP]
        if finding.cause == "dead_bias":
            return [m.RESTART_WITHOUT_BIASES, m.RESCALE, m.RESTORE]
        if finding.cause == "small_weights":
            return [*_gently(patient), _anew(finding), m.RESTORE]
        if finding.rule == "vanishing_gradient":
            return [m.RESTART, m.RESCALE, m.RESTORE]
        if finding.cause == "large_weights" and growing_layers(model):
            return [m.RESTART, m.RESTORE, m.RESTORE_OLDER]
        if patient.slowed and finding.cause in _OF_A_RATE:  # it was not by enough
            return [m.RESCALE_AND_SLOW, m.RESCALE_AND_SLOW, m.RESTORE]
        if finding.rule == "saturation" and finding.cause == "large_weights":
            # From usual weights sigmoids learn slowly, from sound pre-activations less so.
            slow = one_sided(model, finding.layer)
            first = m.RESCALE if slow else m.RESTART_WITH_USUAL_WEIGHTS
            return [first, m.RESCALE, m.RESTORE]
        if finding.rule == "dead_units" and finding.cause == "unknown":
            last = [] if goes_further(patient.optimizer) else [m.RESTORE]
            return [*_gently(patient), m.RESTART_ALIVE, m.RESCALE, *last]
        return [m.RESCALE, m.RESCALE, m.RESTORE]
    if finding.cause == "bad_gradient":
        return [m.ZERO]
    if finding.cause == "bad_data":
        return [] if finding.rule == "nonfinite" else [m.RESTORE] * 3
    if patient.standardises_units:  # what was good for Adam may be too much for SGD
        return [m.RESTORE_PLAIN, m.RESTORE, m.RESTORE_OLDER]
    if recurrent_layers(model):
        if finding.cause == "learning_rate":
            return [m.RESTORE, m.SHRINK_AND_STANDARDISE, m.RESTORE_OLDER]
        if finding.cause == "unscaled_inputs":
            return [m.RESTART_FOR_DATA, m.SHRINK_AND_STANDARDISE, m.RESTORE_AND_CLIP]
        return [m.SHRINK_AND_STANDARDISE, m.SHRINK_RECURRENT, m.RESTORE]
    if growing_layers(model) and finding.cause != "learning_rate":
        return [m.RESTART, m.RESTORE, m.RESTORE_OLDER]
    if finding.cause == "unscaled_inputs":
        return [m.RESTART_FOR_DATA, m.RESTART, m.RESTORE_AND_CLIP]
    if finding.rule == "exploding_gradient" and finding.cause == "large_weights":
        return [m.RESTART, m.RESTORE, m.RESTORE_OLDER]
    if finding.rule == "nonfinite" and patient.unchanged:  # nothing to go back to
        large = finding.cause == "large_weights"
        first = m.RESTART_WITH_USUAL_WEIGHTS if large else m.SHRINK
        return [first, m.SHRINK, m.RESTORE_OLDER]
    return [m.RESTORE, m.RESTORE_OLDER, m.RESTORE_OLDER]


def _gently(patient):
    # All layers' inputs standardised, gradients are greater, and SGD goes further.
    return [m.RESCALE_FIRST] if goes_further(patient.optimizer) else []


def _anew(finding):
    return m.RESTART_ALIVE if finding.rule == "dead_units" else m.RESTART
