"""Where the batches come from; validation is not training."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.modes.runs import (
    EAGERLY,
    Run,
    batches,
    classifier,
    crossentropy,
    digits,
    fit,
    watch,
)
from tests.modes.twin import assert_describes_steps

STEPS, EPOCHS = 5, 2


def triples():
    """Pixels, labels and sample weights."""
    x, y = digits(STEPS)
    return x, y, np.linspace(0, 2, len(x), dtype="float32")


def dataset():
    """Batches whose size is not known when the step is traced."""
    data = tf.data.Dataset.from_tensor_slices(triples())
    return {"x": data.batch(8).prefetch(2)}


class Digits(keras.utils.PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return batches(*triples())[index]


def generator():
    def endless():
        while True:
            yield from batches(*triples())

    return {"x": endless(), "steps_per_epoch": STEPS}


SOURCES = {
    "dataset": dataset,
    "PyDataset, two workers": lambda: {
        "x": Digits(workers=2, max_queue_size=3),
        "compile": EAGERLY,
    },
    "generator": generator,
}


def assert_describes_training(watched, data):
    """Each window is one step on one batch, and there is no other."""
    assert [window.step for window in watched.windows] == list(range(1, len(data) + 1))
    for *step, window in zip(watched.before, data, watched.windows, strict=True):
        assert_describes_steps(window, [step])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_sources(source):
    watched = watch(lambda monitor: fit(classifier, monitor, epochs=EPOCHS, **source()))
    assert_describes_training(watched, batches(*triples()) * EPOCHS)
    assert [window.epoch for window in watched.windows] == [0] * STEPS + [1] * STEPS


def test_validation_is_not_counted():
    """Its pixels are a hundred times brighter: one of them would show."""
    x, y = digits(STEPS)
    options = {"x": x, "y": y, "batch_size": 8, "validation_data": (100 * x, y)}
    watched = watch(lambda monitor: fit(classifier, monitor, epochs=EPOCHS, **options))
    assert len(watched.logs["val_loss"]) == EPOCHS
    assert_describes_training(watched, batches(x, y) * EPOCHS)


def test_train_on_batch():
    def run(monitor):
        keras.utils.set_random_seed(1)
        model = classifier()
        model.compile("adam", crossentropy(), metrics=["accuracy"])
        logs, weights = [], [model.get_weights()]
        context = monitor.attach(model) if monitor else contextlib.nullcontext()
        with context:
            for batch in batches(*digits(STEPS)):
                logs.append(model.train_on_batch(*batch))
                if monitor:
                    assert monitor.step() == []
                weights.append(model.get_weights())
        return Run(model, logs, weights[:-1], weights[1:])

    assert_describes_training(watch(run), batches(*digits(STEPS)))
