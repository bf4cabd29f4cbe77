"""Pairing: which targets and which loss belong to which output of a model."""

import keras


class NotPaired(Exception):
    """Outputs, targets and losses that do not match; the message says why."""


def paired(model, outputs, targets):
    """The targets and the loss of each output.

    Args:
        model: a compiled `keras.Model`.
        outputs: what it puts out for a batch, any structure.
        targets: those of the batch: one for each output, in the same structure, or by
            the outputs' names.

    Returns:
        list of `(targets, loss)` in the order of the flattened outputs; the loss is a
        callable `(targets, outputs)`, or None where it is not known.

    Raises:
        NotPaired: if they do not match.
    """
    places = keras.tree.flatten(outputs)
    names = list(outputs) if isinstance(outputs, dict) else None
    names = sorted(names) if names else list(getattr(model, "output_names", ()))
    values = _for_each(targets, len(places), names)
    if values is None or any(value is None for value in values):
        raise NotPaired("there is not one array of targets for each output")
    losses = model.loss
    if isinstance(losses, (dict, list, tuple)):
        losses = _for_each(losses, len(places), names)
        if losses is None:
            raise NotPaired("there is not one loss for each output")
    else:
        losses = [losses] * len(places)
    return [(v, _callable(loss)) for v, loss in zip(values, losses, strict=True)]


def _for_each(structure, count, names):
    """What there is for each output, in their order, or None."""
    if isinstance(structure, dict):
        if set(structure) != set(names):
            return None
        return [structure[name] for name in names]
    if isinstance(structure, (list, tuple)):
        return list(structure) if len(structure) == count else None
    return [structure] if count == 1 else None


def _callable(loss):
    try:
        return keras.losses.get(loss)
    except (TypeError, ValueError):
        return None
