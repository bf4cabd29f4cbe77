"""The medicines: each changes a patient, and says in words what it did."""

import contextlib
import dataclasses
import math
from collections.abc import Callable

import keras

from keras_activations.actions.learning_rate import rate_of
from keras_activations.actions.recurrent import shrink_recurrent_kernel
from keras_activations.actions.remedies import (
    bounded,
    check_reached,
    clipped,
    goes_further,
    listed,
    names,
    rescaled,
    restored,
    shrunk,
    sound_norms,
    standardised,
)
from keras_activations.actions.restarts import (
    restart,
    restart_alive,
    restart_for_data,
    restart_with_new_weights,
    restart_with_targets,
    restart_with_usual_weights,
    restart_without_biases,
)
from keras_activations.actions.slots import forget
from keras_activations.actions.slowing import slowed
from keras_activations.actions.traits import growing_layers, recurrent_layers
from keras_activations.actions.untreatable import Untreatable


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


def _rescale_and_slow(patient, finding, batch):
    return listed([rescaled(patient, finding, batch), *slowed(patient, "unknown")])


def _rescale_first(patient, finding, batch):
    return listed([*restored(patient), rescaled(patient, finding, batch)])


def _none_in_reach(patient, finding, batch):
    raise Untreatable("whatever the weights, the output cannot give such targets")


def _none_where_shrunk(patient, finding, batch):
    raise Untreatable("weights are small so that nothing overflows")


def _restore(patient, finding, batch, older=False):
    check_reached(patient)
    if patient.unchanged and finding.rule == "nonfinite":
        raise Untreatable(
            "no update has been made yet, so that it is neither what was learnt nor the "
            "learning rate"
        )
    least, most = sound_norms(patient, finding.cause)
    # Nothing is wrong with the rate at which the other batches are learnt.
    rate = [] if finding.cause == "bad_data" else slowed(patient, finding.cause, older)
    then = patient.snapshots.rate(older)
    if most < math.inf and then is not None and rate_of(patient.optimizer) == then:
        least = most  # it was sound before, with gradients that may have to grow yet
    step = patient.restore(older)
    if step is None:
        raise Untreatable("there is no healthy state to go back to")
    if finding.cause == "learning_rate" and goes_further(patient.optimizer):
        patient.forget_momentum()
    norm = patient.clip_gradients(least, most)
    done = [
        f"restored the weights and slots of step {step}",
        *rate,
        f"clips gradients to the global norm {norm:.2g}",
    ]
    if finding.rule in ("nonfinite", "exploding_gradient"):
        done += bounded(patient, growing_layers(patient.model))
    return listed(done)


def _restore_plain(patient, finding, batch):
    done = restored(patient)
    patient.leave_units()
    done.append("makes updates of the layers behind the first as before")
    return listed(done)


def _restore_older(patient, finding, batch):
    return _restore(patient, finding, batch, older=True)


def _restore_and_clip(patient, finding, batch):
    check_reached(patient)
    return listed([*restored(patient), clipped(patient)])


def _restore_and_limit_decay(patient, finding, batch):
    limited = patient.limit_decay()
    if not limited:
        raise Untreatable(
            "neither weight decay nor a penalty that is known is too large"
        )
    done = [*restored(patient), f"limits {' and '.join(limited)} for this fit"]
    with contextlib.suppress(Untreatable):  # they may have been kept before they shrank
        done.append(rescaled(patient, finding, batch))
    return listed(done)


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
        f"scaled the recurrent kernels of {names([x.path for x in layers])} to a "
        "spectral radius of at most 1"
    )


def _shrink_and_standardise(patient, finding, batch):
    text = _shrink_recurrent(patient, finding, batch)
    return listed([text, *standardised(patient, batch)])


NONE_IN_REACH = Medicine("rescaling", _none_in_reach)
NONE_WHERE_SHRUNK = Medicine("rescaling", _none_where_shrunk)
RESCALE = Medicine("rescaling", rescaled, needs_batch=True)
RESCALE_AND_SLOW = Medicine("rescaling", _rescale_and_slow, needs_batch=True)
RESCALE_FIRST = Medicine("rescaling", _rescale_first, needs_batch=True)
RESTART = Medicine("rescaling", restart, needs_batch=True)
RESTART_FOR_DATA = Medicine("rescaling", restart_for_data, needs_batch=True)
RESTART_WITH_USUAL_WEIGHTS = Medicine(
    "scaling the weights", restart_with_usual_weights, needs_batch=True
)
RESTART_WITH_NEW_WEIGHTS = Medicine(
    "drawing weights", restart_with_new_weights, needs_batch=True
)
RESTART_WITHOUT_BIASES = Medicine(
    "resetting biases", restart_without_biases, needs_batch=True
)
RESTART_ALIVE = Medicine("rescaling", restart_alive, needs_batch=True)
RESTART_WITH_TARGETS = Medicine(
    "scaling the targets", restart_with_targets, needs_batch=True
)
RESTORE = Medicine("restoring", _restore, restores=True)
RESTORE_OLDER = Medicine("restoring", _restore_older, restores=True)
RESTORE_PLAIN = Medicine("restoring", _restore_plain, restores=True)
RESTORE_AND_CLIP = Medicine("restoring", _restore_and_clip, restores=True)
RESTORE_AND_LIMIT_DECAY = Medicine(
    "limiting the decay", _restore_and_limit_decay, needs_batch=True
)
ZERO = Medicine("zeroing", _zero, changes_weights=False)
SHRINK = Medicine("scaling the weights", shrunk, needs_batch=True)
SHRINK_RECURRENT = Medicine("scaling the recurrent kernel", _shrink_recurrent)
SHRINK_AND_STANDARDISE = Medicine(
    "scaling the recurrent kernel", _shrink_and_standardise, needs_batch=True
)
