"""Remedies: what medicines are made of; each changes a patient, and says what it did."""

import math

import keras

from keras_activations.actions.feeds import NotTaken
from keras_activations.actions.initialisation import (
    draw_anew,
    reset_biases,
    scale_down,
)
from keras_activations.actions.rescaling import rescale
from keras_activations.actions.shrinking import shrink_before
from keras_activations.actions.slots import inner_optimizer
from keras_activations.actions.traits import too_large
from keras_activations.actions.untreatable import NothingToChange, Untreatable

FAR = 100.0  # norm of gradients that are too large, whatever the rate
GROWTH = 10.0  # of that norm, at most, while a sound run goes on
UNSCALED = 1.0  # norm of gradients where what is usual follows from unscaled data


def restored(patient):
    """The oldest healthy state is back, if there is one: a list of texts."""
    step = patient.restore(older=True)
    return [] if step is None else [f"restored the weights and slots of step {step}"]


def rescaled(patient, finding, batch, alive=False):
    """Weights are rescaled; see `rescaling.rescale`."""
    model, optimizer = patient.model, patient.optimizer
    also = [finding.layer]
    if finding.cause == "large_weights":
        also += too_large(model)
    try:
        done = rescale(model, optimizer, batch.inputs, also, alive)
    except NotTaken as error:
        raise Untreatable(str(error)) from error
    left = [f"{path}: {reason}" for path, reason in done.refused.items()]
    if not done.paths and left:
        raise Untreatable("; ".join(left))
    if not done.paths:
        raise NothingToChange("every unit has a sound size already")
    patient.guard.norms.learn_anew()
    text = (
        "centred and rescaled the incoming weights of "
        f"{names(done.paths)} to pre-activations of a sound mean and deviation"
    )
    return f"{text} (left alone: {'; '.join(left)})" if left else text


def without_biases(patient, batch):
    """Biases far from 0 are set to it, where there are any: a list of texts."""
    try:
        paths = reset_biases(patient.model, patient.optimizer, batch.inputs)
    except NotTaken:
        return []
    return _changed(patient, paths, "set the biases of {} to 0")


def check_reached(patient):
    """Raises `Untreatable` where updates are neither clipped nor dropped."""
    if not patient.guard.used:
        raise Untreatable(
            "the updates are not made by the optimizer that the model was compiled with, "
            "or in a branch of its `train_step`"
        )


def with_usual_weights(patient):
    """Kernels far too large are scaled down, where there are any: a list of texts."""
    paths = scale_down(patient.model, patient.optimizer)
    return _changed(patient, paths, "scaled the weights of {} to their usual size")


def with_new_weights(patient):
    """Kernels whose entries are alike are drawn anew, where there are any, likewise."""
    paths = draw_anew(patient.model, patient.optimizer)
    return _changed(patient, paths, "drew the weights of {} anew, around 0")


def shrunk(patient, finding, batch):
    """Weights that make the ill layer overflow are scaled down."""
    model, optimizer = patient.model, patient.optimizer
    try:
        done = shrink_before(model, optimizer, finding.layer, batch.inputs)
    except NotTaken as error:
        raise Untreatable(str(error)) from error
    if done is None:
        raise Untreatable("smaller weights before it make no difference")
    path, factor = done
    patient.shrunk = True
    patient.guard.norms.learn_anew()
    return f"scaled the weights of {path} by {factor:.2g}, so that nothing overflows"


def _changed(patient, paths, text):
    """What is said of the layers of which the weights were changed, if any."""
    if not paths:
        return []
    patient.guard.norms.learn_anew()  # what was usual is so no more
    return [text.format(names(paths))]


def clipped(patient):
    """Gradients are clipped to what is usual of scaled data."""
    norm = patient.clip_gradients(at_most=UNSCALED)
    return f"clips gradients to the global norm {norm:.3g} from now on"


def bounded(patient, layers):
    """Their pre-activations are bounded, where that can be: a list of texts."""
    if patient.trace_anew is None:
        return []
    paths = [layer.path for layer in layers if patient.bounds.add(layer.path) is None]
    if not paths:
        return []
    patient.retrace()
    low, high = patient.bounds.of(paths[0])
    within = f"[{low:.2g}, {high:.2g}]"
    return [f"in training keeps the pre-activations of {names(paths)} within {within}"]


def sound_norms(patient, cause):
    """The least and the greatest norm to clip gradients to, whatever has been usual.

    Steps that come apart make the usual norm large, and layers that die make it small.
    Where it was far too large from the start, the rate of an optimizer whose updates
    grow with it would be lowered for good by what a few steps have shown.
    """
    start = patient.norm or math.inf
    if not start < math.inf:
        return 0.0, math.inf
    if start <= FAR:
        return start, GROWTH * start
    if cause != "learning_rate" or not goes_further(patient.optimizer):
        return 0.0, GROWTH * start
    patient.stride *= UNSCALED / start
    patient.norm = UNSCALED
    return 0.0, UNSCALED


def goes_further(optimizer):
    """Whether its updates grow with the gradient."""
    return isinstance(inner_optimizer(optimizer), keras.optimizers.SGD)


def standardised(patient, batch):
    """Inputs of layers are standardised, where that can be: a list of texts."""
    text = (
        "makes updates from now on as though the inputs of each layer were standardised"
    )
    return [text] if patient.standardise_inputs(batch.inputs) else []


def listed(parts):
    """Texts as one."""
    return ", and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def names(paths):
    """Paths as a text, the first four of them."""
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(paths[:4]) + more
