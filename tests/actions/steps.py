"""A training step by hand, with or without a preconditioner."""

import tensorflow as tf


def step(model, optimizer, loss, x, y, preconditioner=None):
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(y, model(x, training=True)))
    variables = model.trainable_variables
    gradients = tape.gradient(value, variables)
    if preconditioner is None:
        optimizer.apply(gradients, variables)
        return
    gradients = preconditioner.gradients(gradients, variables)
    preconditioner.around(
        lambda: optimizer.apply(gradients, variables), gradients, variables
    )
