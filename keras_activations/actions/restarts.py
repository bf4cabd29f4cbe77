"""Restarts: the run begins anew from its last sound state, with the cause undone.

Where a cause is plain, nothing else is changed, and what follows is the healthy run.
"""

import contextlib

from keras_activations.actions.remedies import (
    check_reached,
    clipped,
    goes_further,
    listed,
    rescaled,
    restored,
    standardised,
    with_new_weights,
    with_usual_weights,
    without_biases,
)
from keras_activations.actions.targets import OtherTargets
from keras_activations.actions.traits import growing_layers
from keras_activations.actions.untreatable import Untreatable
from keras_activations.health.suspects import UNSCALED_INPUTS

_REWRITTEN = "rewrote the layers that see the data for data of mean 0 and deviation 1"
_OF_TARGETS = "makes updates from now on as though {} had mean 0 and deviation 1"


def restart(patient, finding, batch, alive=False):
    """From sound pre-activations, and learning as of standardised inputs."""
    # Next to nothing was learnt without a gradient, but the steps so far have moved
    # all units of a layer alike, and scaling does not make them differ again.
    done = restored(patient)
    again = bool(patient.guard.preconditioner.layers)
    changed, left_alone = [], None
    if finding.cause == "unscaled_inputs" and patient.rewrite_for_data(batch.inputs):
        changed.append(_REWRITTEN)
    try:
        changed.append(rescaled(patient, finding, batch, alive))
    except Untreatable as reason:
        left_alone = reason
    if changed or not again:
        changed += standardised(patient, batch)
    if left_alone is not None and not changed:
        raise left_alone
    done += changed
    steep = growing_layers(patient.model) or (alive and goes_further(patient.optimizer))
    if steep and patient.guard.used:
        done.append(clipped(patient))
    return listed(done)


def restart_alive(patient, finding, batch):
    """The same with rectified units that are at their floor for few inputs."""
    return restart(patient, finding, batch, alive=True)


def restart_for_data(patient, finding, batch):
    """As if the data had been scaled: nothing is wrong with the layers behind.

    So with the targets, where they are large as well.
    """
    done = restored(patient)
    if not patient.rewrite_for_data(batch.inputs):
        return restart(patient, finding, batch)
    done.append(_REWRITTEN)
    if patient.standardise_inputs(batch.inputs, of_data=True):
        done.append("makes their updates from now on as for such data")
    with contextlib.suppress(OtherTargets):
        targets = patient.standardised_targets(batch, only_large=True)
        patient.learn_of(targets, batch)
        done.append(_OF_TARGETS.format("the targets"))
    return listed(done)


def restart_without_biases(patient, finding, batch):
    """As if biases had started at 0."""
    done, reset = restored(patient), without_biases(patient, batch)
    return listed([*done, *reset]) if reset else restart(patient, finding, batch)


def restart_with_usual_weights(patient, finding, batch):
    """As if kernels had been drawn in their usual size."""
    done, scaled = restored(patient), with_usual_weights(patient)
    return listed([*done, *(scaled or [rescaled(patient, finding, batch)])])


def restart_with_new_weights(patient, finding, batch):
    """As if kernels had been drawn around 0."""
    done, drawn = restored(patient), with_new_weights(patient)
    return listed([*done, *(drawn or [rescaled(patient, finding, batch)])])


def restart_with_targets(patient, finding, batch):
    """Learning as of targets that were scaled."""
    check_reached(patient)
    try:
        targets = patient.standardised_targets(batch)
    except OtherTargets as reason:
        raise Untreatable(str(reason)) from reason
    done = restored(patient)
    if patient.rewrite_for_data(batch.inputs, beyond=UNSCALED_INPUTS):
        done.append(_REWRITTEN)
        patient.standardise_inputs(batch.inputs, of_data=True)
        terms = "the data and the targets"
    else:
        terms = "the targets"
    if finding.rule in ("saturation", "dead_units"):
        # What was kept last may have been driven there by the targets already.
        with contextlib.suppress(Untreatable):
            done.append(rescaled(patient, finding, batch))
    patient.learn_of(targets, batch)
    done.append(_OF_TARGETS.format(terms))
    return listed(done)
