"""What `test_several_workers` needs of a worker: first the README's script, then the rest.

It is one process a worker for all of it, since each takes ten seconds to start.
"""

import itertools
import runpy
import warnings

import keras
import numpy as np

import keras_activations as ka
from keras_activations.telemetry import gathering
from tests.leftovers import hooks
from tests.modes.processes import send
from tests.modes.runs import BATCH, classifier, make_monitor
from tests.modes.strategies import build, loop, rows

SCRIPT = "train.py"
LOGS = "loop"
ROWS = 3 * BATCH + 1  # of the last batch the second worker has no row
BAD_STEP = 3
BAD_ROW = 3 * BATCH - 1  # one of the second worker's


def main():
    warnings.filterwarnings("error", module="keras_activations")
    # Every other reading is made as if from beyond the host.
    turns = itertools.cycle([True, False])
    gathering.on_cpu = lambda tensors: next(turns)
    script = runpy.run_path(SCRIPT, run_name="__main__")
    strategy = script["strategy"]
    send(
        {
            "script, stats": script["monitor"].stats,
            "script, weights": script["model"].get_weights(),
            **loops(strategy),
            "stopped, gradient": stopped(strategy, np.nan),
            "stopped, no gradient": stopped(strategy, -1, with_aside),
            "refused": refused(strategy),
        }
    )


def loops(strategy):
    monitor, windows = make_monitor(log_dir=LOGS)
    _, plain = loop(strategy, *rows(ROWS))
    model, watched = loop(strategy, *rows(ROWS), monitor, windows)
    return {"plain": plain, "watched": watched, "left": hooks(model)}


class Aside(keras.layers.Layer):
    """Takes a root that nothing comes of, so that no gradient tells of its NaN."""

    def __init__(self):
        super().__init__()
        self.root = keras.layers.Lambda(keras.ops.sqrt, name="root")

    def call(self, x):
        self.root(x[:, :1])
        return x


def with_aside():
    return keras.Sequential([keras.Input((64,)), Aside(), *classifier().layers[1:]])


def stopped(strategy, pixel, make_model=classifier):
    """A bad pixel in a step that is not sampled: the chief itself has nothing to tell."""
    monitor, windows = make_monitor(on_nonfinite="stop", every=10)
    x, y = rows(5 * BATCH)
    if not strategy.extended.should_save_summary:
        x[BAD_ROW, 0] = pixel  # the chief never has it
    _, record = loop(strategy, x, y, monitor, windows, make_model)
    return record


def refused(strategy):
    """What asks for more than is supported is answered with."""
    model = build(strategy)
    monitor = ka.ActivationMonitor(verbose=0)
    clipping = ka.ActivationMonitor(on_nonfinite="clip", verbose=0)
    x, y = rows(BATCH)
    attempts = {
        "fit": lambda: model.fit(x, y, verbose=0, callbacks=[monitor]),
        "evaluate": lambda: model.evaluate(x, y, verbose=0, callbacks=[monitor]),
        "predict": lambda: model.predict(x, verbose=0, callbacks=[monitor]),
        "clip": lambda: loop(strategy, x, y, clipping),
    }
    answers = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except ValueError as error:
            answers[name] = str(error)
    return answers


if __name__ == "__main__":
    main()
