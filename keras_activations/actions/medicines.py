"""The medicines: each changes a patient, and says in words what it did."""

import dataclasses
import math
from collections.abc import Callable

import keras

from keras_activations.actions import learning_rate
from keras_activations.actions.feeds import NotTaken
from keras_activations.actions.patient import Untreatable
from keras_activations.actions.recurrent import shrink_recurrent_kernel
from keras_activations.actions.rescaling import rescale
from keras_activations.actions.slots import forget
from keras_activations.actions.targets import OtherTargets
from keras_activations.actions.traits import (
    grows_without_end,
    recurrent_layers,
    too_large,
)
from keras_activations.health import suspects

BACK_OFF = 0.1
# Size of an update that a rate is lowered to at least, where the rate was the cause.
LEAST = 2 * suspects.LONG_STRIDE
UNSCALED = 1.0  # norm of gradients where what is usual follows from unscaled data


@dataclasses.dataclass(frozen=True)
class Medicine:
    """What is done about an illness.

    Attributes:
        name: for a person.
        give: callable `(patient, finding, batch) -> str`, what was done; it raises
            `Untreatable` if it cannot be. `inputs` are those of one batch.
        needs_batch: whether it has to be given inputs.
        changes_weights: whether afterwards the rules have to judge from the beginning.
        restores: whether the weights are ones that were kept before.
    """

    name: str
    give: Callable
    needs_batch: bool = False
    changes_weights: bool = True
    restores: bool = False


def _rescale(patient, finding, batch, alive=False):
    model, optimizer = patient.model, patient.optimizer
    also = [finding.layer]
    if finding.cause == "large_weights":
        also += too_large(model)
    try:
        done = rescale(model, optimizer, batch.inputs, also, alive)
    except NotTaken as error:
        raise Untreatable(str(error)) from error
    left = [f"{path}: {reason}" for path, reason in done.refused.items()]
    if not done.paths:
        raise Untreatable("; ".join(left) or "every unit has a sound size already")
    patient.guard.norms.learn_anew()
    text = (
        "centred and rescaled the incoming weights of "
        f"{_names(done.paths)} to pre-activations of a sound mean and deviation"
    )
    return f"{text} (left alone: {'; '.join(left)})" if left else text


def _rescale_and_slow(patient, finding, batch):
    return _listed([_rescale(patient, finding, batch), _back_off(patient, "unknown")])


def _restart(patient, finding, batch, alive=False):
    # Next to nothing was learnt without a gradient, but the steps so far have moved
    # all units of a layer alike, and scaling does not make them differ again.
    step = patient.restore(older=True)
    done = [] if step is None else [f"restored the weights and slots of step {step}"]
    again = bool(patient.guard.preconditioner.layers)
    left_alone = None
    try:
        done.append(_rescale(patient, finding, batch, alive))
    except Untreatable as reason:
        left_alone = reason
    standardised = [] if left_alone and again else _standardised(patient, batch)
    if left_alone and not standardised:
        raise left_alone
    done += standardised
    if grows_without_end(patient.model):
        done.append(_clip(patient, finding, batch))
    return _listed(done)


def _restart_alive(patient, finding, batch):
    return _restart(patient, finding, batch, alive=True)


def _restart_for_data(patient, finding, batch):
    # Nothing is wrong with the layers behind: all is as if the data had been scaled.
    step = patient.restore(older=True)
    if not patient.rewrite_for_data(batch.inputs):
        return _restart(patient, finding, batch)
    done = [] if step is None else [f"restored the weights and slots of step {step}"]
    done.append(
        "rewrote the layers that see the data for data of mean 0 and deviation 1"
    )
    if patient.standardise_inputs(batch.inputs, of_data=True):
        done.append("makes updates from now on as though it were")
    return _listed(done)


_STANDARDISED = (
    "makes updates from now on as though the inputs of each layer were standardised"
)


def _standardised(patient, batch):
    return [_STANDARDISED] if patient.standardise_inputs(batch.inputs) else []


def _listed(parts):
    return ", and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _none_in_reach(patient, finding, batch):
    raise Untreatable("whatever the weights, the output cannot give such targets")


def _restore(patient, finding, batch, older=False):
    if not patient.guard.used:
        raise Untreatable(
            "the updates are not made by the optimizer that the model was compiled with"
        )
    if patient.unchanged and finding.rule == "nonfinite":
        raise Untreatable(
            "no update has been made yet, so that it is neither what was learnt nor the "
            "learning rate"
        )
    rate = _back_off(patient, finding.cause)
    step = patient.restore(older)
    if step is None:
        raise Untreatable("there is no healthy state to go back to")
    patient.clip_gradients()
    return (
        f"restored the weights and slots of step {step}, {rate}, and clips gradients to "
        "their usual norm"
    )


def _restore_older(patient, finding, batch):
    return _restore(patient, finding, batch, older=True)


def _back_off(patient, cause):
    factor, stride = BACK_OFF, patient.stride or 0.0
    # How far an update goes is in proportion to the rate, whatever the optimizer.
    while cause == "learning_rate" and LEAST < stride * factor < math.inf:
        factor *= BACK_OFF
    patient.stride = stride * factor
    if learning_rate.schedule_of(patient.optimizer) is not None:
        patient.retrace()
        patient.guard.rate_factor *= factor
        factor = patient.guard.rate_factor
        return f"multiplied the learning rate schedule by {factor:g} for this fit"
    try:
        before, after = learning_rate.back_off(patient.optimizer, factor)
    except AttributeError:
        raise Untreatable(
            "the learning rate is neither a number nor a schedule"
        ) from None
    patient.greatest_rate = after
    return f"lowered the learning rate from {before:g} to {after:g}"


def _clip(patient, finding, batch):
    norm = patient.clip_gradients(UNSCALED)
    return f"clips gradients to the global norm {norm:.3g} from now on"


def _restore_and_clip(patient, finding, batch):
    step = patient.restore(older=True)
    return f"restored the weights and slots of step {step}, and {_clip(patient, finding, batch)}"


def _restart_with_targets(patient, finding, batch):
    try:
        targets = patient.standardised_targets(batch)
    except OtherTargets as reason:
        raise Untreatable(str(reason)) from reason
    step = patient.restore(older=True)
    done = [] if step is None else [f"restored the weights and slots of step {step}"]
    patient.learn_of(targets, batch)
    done.append(
        "makes updates from now on as though the targets had mean 0 and deviation 1"
    )
    return _listed(done)


def _zero(patient, finding, batch):
    if isinstance(patient.optimizer, keras.optimizers.LossScaleOptimizer):
        raise Untreatable("Keras scales the loss and has to see what is not finite")
    patient.retrace()
    patient.guard.zeroing = True
    patient.bounds.filter_gradient(finding.layer)
    return (
        "no update was finite any more, so from now on those entries of the gradient at "
        f"{finding.layer} that are not finite are set to zero, and the others are used"
    )


def _shrink_recurrent(patient, finding, batch):
    layers = recurrent_layers(patient.model)
    changed = []
    for layer in layers:
        changed += shrink_recurrent_kernel(layer)
    if not changed:
        raise Untreatable("no recurrent kernel has a spectral radius above 1")
    # What the blow-up has sent through every other weight is remembered there too.
    forget(patient.optimizer, patient.model.trainable_variables)
    patient.guard.norms.learn_anew()
    return (
        f"scaled the recurrent kernels of {_names([x.path for x in layers])} to a "
        "spectral radius of at most 1"
    )


def _shrink_and_standardise(patient, finding, batch):
    text = _shrink_recurrent(patient, finding, batch)
    return _listed([text, *_standardised(patient, batch)])


def _names(paths):
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(paths[:4]) + more


NONE_IN_REACH = Medicine("rescaling", _none_in_reach)
RESCALE = Medicine("rescaling", _rescale, needs_batch=True)
RESCALE_AND_SLOW = Medicine("rescaling", _rescale_and_slow, needs_batch=True)
RESTART = Medicine("rescaling", _restart, needs_batch=True)
RESTART_FOR_DATA = Medicine("rescaling", _restart_for_data, needs_batch=True)
RESTART_ALIVE = Medicine("rescaling", _restart_alive, needs_batch=True)
RESTART_WITH_TARGETS = Medicine(
    "scaling the targets", _restart_with_targets, needs_batch=True
)
RESTORE = Medicine("restoring", _restore, restores=True)
RESTORE_OLDER = Medicine("restoring", _restore_older, restores=True)
RESTORE_AND_CLIP = Medicine("restoring", _restore_and_clip, restores=True)
ZERO = Medicine("zeroing", _zero, changes_weights=False)
SHRINK_RECURRENT = Medicine("scaling the recurrent kernel", _shrink_recurrent)
SHRINK_AND_STANDARDISE = Medicine(
    "scaling the recurrent kernel", _shrink_and_standardise, needs_batch=True
)
