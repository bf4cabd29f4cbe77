"""How long a step takes: ratios to the bare step, from interleaved rounds.

Every way trains a network of its own in rounds, one way after the other in an order
that is drawn anew for each round, so that whatever else the machine does meets all of
them. Bare steps come before and after each of them, and its ratio is to the mean of those two.
"""

import gc
import os
import queue
import threading
import time

import keras
import numpy as np

from benchmarks.cost import networks
from benchmarks.cost.ways import WAYS


class Training:
    """A `fit` in a thread of its own, that runs an epoch when it is told to.

    All rounds are epochs of one `fit`, as in real use. A `fit` for each round would
    have every way open its files and begin its schedule anew each time.

    Args:
        network: a `Network`.
        way: a `Way`.
        xla: bool.
        steps: steps in an epoch.
        epochs: number of rounds.
        folder: for the logs.
    """

    def __init__(self, network, way, xla, steps, epochs, folder):
        self.model = networks.compiled(network, xla)
        self._name = f"{network.text}, {way.text}"
        self._steps, self._epochs = steps, epochs
        dataset = networks.batches(network)
        # From before the first callback's work to after the last one's.
        callbacks = [
            keras.callbacks.LambdaCallback(on_epoch_begin=self._wait),
            *way.watch(self.model, dataset, folder),
            keras.callbacks.LambdaCallback(on_epoch_end=self._stop_clock),
        ]
        self._seconds = None
        self._go, self._done = queue.SimpleQueue(), queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._fit, args=(dataset, callbacks), daemon=True
        )
        self._thread.start()

    def round(self):
        """Trains one epoch.

        Returns:
            seconds a step.
        """
        self._go.put(None)
        outcome = self._done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome / self._steps

    def finish(self):
        """Waits for the end of `fit` and sees that every step was done.

        Raises:
            RuntimeError: when training was stopped, or steps were skipped.
        """
        self._thread.join()
        done = int(self.model.optimizer.iterations)
        if done != self._steps * self._epochs:
            raise RuntimeError(
                f"Every round must train {self._steps} steps, {self._epochs} times. "
                f"Received: {done} steps in all, {self._name}"
            )

    def _fit(self, dataset, callbacks):
        try:
            self.model.fit(
                dataset,
                steps_per_epoch=self._steps,
                epochs=self._epochs,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
            self._done.put(self._seconds)
        except BaseException as error:
            self._done.put(error)

    def _wait(self, epoch, logs=None):
        # Only here has the epoch before come to rest.
        if epoch > 0:
            self._done.put(self._seconds)
        self._go.get()
        self._start = time.perf_counter()

    def _stop_clock(self, epoch, logs=None):
        self._seconds = time.perf_counter() - self._start


def measure(network, names, xla, steps, rounds, folder):
    """Times a network watched in several ways.

    Args:
        network: a `Network`.
        names: list of keys of `WAYS`, among them "bare".
        xla: bool.
        steps: steps in a round. Of a steady way a fifth is enough.
        rounds: how many; one more is run before them and not counted, it traces.
        folder: each way logs to a folder of its name in there.

    Returns:
        dict of name to array of ratios, one a round. For "bare" a third stretch of bare
        steps stands between the two: what differs from 1 there is noise.
    """
    trainings, ratios = {}, {name: [] for name in names}
    epochs = dict.fromkeys(names, 1 + rounds)
    epochs["bare"] += rounds * (1 + len(names))
    for name in names:
        trainings[name] = Training(
            network,
            WAYS[name],
            xla,
            max(1, steps // 5) if WAYS[name].steady else steps,
            epochs[name],
            os.path.join(folder, name),
        )
        trainings[name].round()
    # What was traced stays. Otherwise the garbage collector would look through the
    # graphs of all ways during the round of one.
    gc.collect()
    gc.freeze()
    order = np.random.default_rng(0)
    for _ in range(rounds):
        before = _timed(trainings["bare"])
        for name in order.permutation(names):
            seconds = _timed(trainings[name])
            after = _timed(trainings["bare"])
            ratios[name].append(2 * seconds / (before + after))
            before = after
    gc.unfreeze()
    for training in trainings.values():
        training.finish()
    return {name: np.array(found) for name, found in ratios.items()}


def _timed(training):
    gc.collect()
    return training.round()
