"""What a Keras optimizer does to gradients beside applying them."""

import keras
import tensorflow as tf


def loss_scale(optimizer):
    """By how much the loss was scaled, and the gradients are, or None."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It scales before it is built, too.
        built = optimizer.built
        return optimizer.dynamic_scale if built else optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None)


def updates_now(optimizer):
    """Whether this step's gradients are applied, not only accumulated."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    steps = getattr(inner, "gradient_accumulation_steps", None)
    if not steps:
        return True
    if not inner.built:
        return steps == 1
    # `iterations` counts updates; Keras's own condition is on `_iterations`.
    return tf.equal((inner._iterations + 1) % steps, 0)
