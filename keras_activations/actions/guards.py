"""Which guard a model gets, if any."""

import keras

from keras_activations.actions.guard import UpdateGuard
from keras_activations.actions.slots import inner_optimizer
from keras_activations.health.rules import ExplodingGradient
from keras_activations.telemetry.replicas import Replicas
from keras_activations.telemetry.taps import all_layers


def guard_for(model, optimizer, rules, actions, phase):
    """The `UpdateGuard` of a model; None if no rule clips or rescues.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer.
        rules: list of rule objects.
        actions: dict of rule name to action.
        phase: see `Session`.

    Raises:
        ValueError: under MirroredStrategy in a loop by hand.
    """
    guarded = [rule for rule in rules if actions[rule.name] in ("clip", "rescue")]
    if not guarded:
        return None
    replicas = Replicas(model.distribute_strategy)
    if replicas.merged and phase == "loop":
        raise ValueError(
            '"clip" and "rescue" are not supported under MirroredStrategy in a training '
            "loop written by hand, where an update cannot be put back from outside of "
            '`strategy.run`. They are in `fit`, and "stop" is here. Received: a model '
            f"with {replicas.number} replicas"
        )
    exploding = [rule for rule in guarded if isinstance(rule, ExplodingGradient)]
    return UpdateGuard(
        model,
        nonfinite=any(rule.name == "nonfinite" for rule in guarded),
        exploding=exploding[0] if exploding else None,
        outside=phase == "train"
        and (
            replicas.merged
            or bool(model.jit_compile)
            or _rounds_otherwise_in_a_branch(model, optimizer)
        ),
    )


def _rounds_otherwise_in_a_branch(model, optimizer):
    """Whether an update inside a condition would not be the plain one to the last digit.

    The gradient of the scale of a batch normalisation is a product. SGD multiplies it by
    the learning rate at once, and `arithmetic_optimizer.cc` changes the order of these
    products, but not where one of them is in a branch.
    """
    return (
        not model.run_eagerly
        and isinstance(inner_optimizer(optimizer), keras.optimizers.SGD)
        and any(
            isinstance(x, keras.layers.BatchNormalization) for x in all_layers(model)
        )
    )
