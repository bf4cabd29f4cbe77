"""The `classifier` of `runs` trained under a `tf.distribute` strategy, told as plain data."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tests.modes.runs import BATCH, OWN_LOGS, classifier, crossentropy, digits


@dataclasses.dataclass
class Record:
    """A run that another process can be told of.

    Attributes:
        logs: what the user was told of loss and metrics.
        before: all weights before each step, a list an element.
        state: every copy of every variable at the end: weights, optimizer, metrics.
        windows: all windows of the monitor, in order.
        findings: those of the monitor.
    """

    logs: list
    before: list
    state: list
    windows: list = dataclasses.field(default_factory=list)
    findings: list = dataclasses.field(default_factory=list)


def rows(number, bad=()):
    """That many digits and labels, with NaN for a pixel of the given rows."""
    x, y = digits(-(-number // BATCH))
    x, y = x[:number].copy(), y[:number]
    x[list(bad), 0] = np.nan
    return x, y


def build(strategy, make_model=classifier):
    """A compiled model from the seed."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = make_model()
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, crossentropy(), metrics=["accuracy"])
    return model


def state_of(strategy, model):
    """Each replica's copy of all variables."""
    variables = [*model.variables, *model.optimizer.variables]
    return [
        copy.numpy()
        for variable in [*variables, *model.metrics_variables]
        for copy in strategy.experimental_local_results(variable._value)
    ]


def loop(strategy, x, y, monitor=None, windows=(), make_model=classifier):
    """Trains a new model in a loop by hand.

    Each step's loss is the sum over its rows by `BATCH`.

    Returns:
        the model and its `Record`.
    """
    model = build(strategy, make_model)
    optimizer = model.optimizer
    with strategy.scope():  # inside the first step Keras itself cannot
        optimizer.build(model.trainable_weights)
    losses_of = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=None
    )

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses_of(y, model(x, training=True))) / BATCH
        weights = model.trainable_weights
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    @tf.function
    def train_step(batch):
        return strategy.reduce("SUM", strategy.run(step, args=batch), axis=None)

    @tf.function
    def predict(x):
        return strategy.run(lambda x: model(x, training=False), args=(x,))

    logs, before = [], []
    with monitor.attach(model) if monitor else contextlib.nullcontext():
        for batch in distributed(strategy, x, y):
            before.append(model.get_weights())
            logs.append(float(train_step(batch)))
            predict(batch[0])  # is no step
            if monitor:
                monitor.step()
            if model.stop_training:
                break
    findings = monitor.findings if monitor else []
    state = state_of(strategy, model)
    return model, Record(logs, before, state, list(windows), list(findings))


def distributed(strategy, x, y):
    """The batches of `runs.batches`, split among the replicas in their order."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    return strategy.experimental_distribute_dataset(data.with_options(options))


def assert_same(plain, watched):
    """Logs and every copy of every variable are identical."""
    np.testing.assert_equal([_keras_own(log) for log in watched.logs], plain.logs)
    for one, other in zip(plain.state, watched.state, strict=True):
        np.testing.assert_array_equal(one, other)


def _keras_own(log):
    if not isinstance(log, dict):
        return log
    return {name: values for name, values in log.items() if name not in OWN_LOGS}
