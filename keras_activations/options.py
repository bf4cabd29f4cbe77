"""What a monitor is given, checked where nothing else checks it."""

import warnings

import keras


def check_options(every, verbose):
    """Refuses options that no part of the monitor checks for itself.

    Raises:
        ValueError: for another backend, or an option out of range.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "ActivationMonitor works with Keras's TensorFlow backend only. "
            f"Received: keras.backend.backend()={keras.backend.backend()!r}"
        )
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"`every` must be an int >= 1. Received: every={every!r}")
    if verbose not in (0, 1):
        raise ValueError(f"`verbose` must be 0 or 1. Received: verbose={verbose!r}")


def check_loop_model(model):
    """Refuses what cannot be watched in a training loop written by hand.

    Raises:
        ValueError: unless it is a built Keras model.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: model={model!r}")
    if not model.built:
        raise ValueError(
            "`model` must be built: call it once on a batch, or `model.build(shape)`. "
            f"Received: model={model.name!r}, not built"
        )


def check_counted(step, last_step):
    """Refuses to judge a step that was not counted.

    Raises:
        RuntimeError: if no step was counted since the last one that was judged.
    """
    if step == last_step:
        raise RuntimeError(
            "No training step was counted since the last call of `step`. Trace the "
            "training function inside `with monitor.attach(model, optimizer):`, and "
            "give it the optimizer that the loop uses."
        )


def warn_not_watched(model):
    """Warns of an `evaluate` or `predict` in the midst of a training that is watched."""
    warnings.warn(
        "This ActivationMonitor is attached to the training of the model "
        f"{model.name!r}, so this call is not watched: give it a monitor of its own. "
        "(A `fit` that an exception broke off counts as training until the next one "
        "begins.)",
        stacklevel=4,
    )
