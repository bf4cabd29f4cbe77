"""What an optimizer remembers of a weight: its slots."""

import keras
import numpy as np


def inner_optimizer(optimizer):
    """The optimizer that updates, without a scaling of the loss around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def forget(optimizer, variables):
    """Sets the slots of these variables to what they are at the start of training.

    A momentum points where the old value had to go. An average of the weight itself
    starts from its new value.

    Args:
        optimizer: a Keras optimizer, or None.
        variables: weights that were changed; those it does not train are left out.
    """
    if optimizer is None or not inner_optimizer(optimizer).built:
        return
    optimizer = inner_optimizer(optimizer)
    trained = {id(v): i for i, v in enumerate(optimizer._trainable_variables)}
    places = [(v, trained[id(v)]) for v in variables if id(v) in trained]
    for name, slots in _slots(optimizer).items():
        for variable, place in places:
            slot = slots[place]
            if not isinstance(slot, keras.Variable):
                continue
            if name == "_model_variables_moving_average":
                slot.assign(variable.value)
            else:
                start = _start(optimizer, name)
                slot.assign(np.full(slot.shape, start, slot.dtype))


def _slots(optimizer):
    number = len(optimizer._trainable_variables)
    return {
        name: list(value)
        for name, value in vars(optimizer).items()
        if isinstance(value, (list, tuple))
        and len(value) == number
        and name not in ("_trainable_variables", "_variables")
    }


def _start(optimizer, name):
    if name == "_accumulators":  # Adagrad and FTRL divide by their root
        return getattr(optimizer, "initial_accumulator_value", 0.0)
    return 0.0
