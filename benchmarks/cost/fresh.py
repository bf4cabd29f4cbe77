"""Time to the first step, and memory: each measurement in a fresh process.

In one process the first model to be traced pays for the others, and memory that was
ever taken counts for good. So each model gets a process of its own, forked from one
that has imported Keras and done nothing with it. They run one after the other, in an
order that is drawn anew for each repetition.
"""

import concurrent.futures
import dataclasses
import gc
import multiprocessing
import os
import resource
import sys
import tempfile
import time

import keras
import numpy as np

from benchmarks.cost import networks
from benchmarks.cost.networks import NETWORKS
from benchmarks.cost.ways import WAYS

STEPS = 10  # until the peak of memory is read


@dataclasses.dataclass(frozen=True)
class Fresh:
    """What fresh processes showed.

    Attributes:
        first_step: dict of way to array of ratios to the bare way's time from the call
            of `fit` to the end of the first step: tracing, compiling and one step.
            Ways that trace another way's step are left out.
        peak: dict of way to array of megabytes, the greatest size of the process in
            the first `STEPS` steps.
    """

    first_step: dict[str, np.ndarray]
    peak: dict[str, np.ndarray]


def measure(network, names, xla, repeats):
    """Starts each way's training in fresh processes.

    Args:
        network: key of `NETWORKS`.
        names: list of keys of `WAYS`, among them "bare".
        xla: bool.
        repeats: how often; ways that trace another way's step are started once.

    Returns:
        `Fresh`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    own = [name for name in names if WAYS[name].traces_as is None]
    seconds, peak = ({name: [] for name in names} for _ in range(2))
    order = np.random.default_rng(0)
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=1, mp_context=context, max_tasks_per_child=1
    ) as processes:
        for repetition in range(repeats):
            for name in order.permutation(own if repetition else names):
                started = processes.submit(_start, network, str(name), xla).result()
                seconds[name].append(started[0])
                peak[name].append(started[1])
    return Fresh(
        {name: np.divide(seconds[name], seconds["bare"]) for name in own},
        {name: np.array(peak[name]) for name in names},
    )


def _start(network, name, xla):
    """Runs in the fresh process; gives seconds to the first step and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        _warm_up(xla, folder)
        model = networks.compiled(NETWORKS[network], xla)
        dataset = networks.batches(NETWORKS[network])
        ends = []
        callbacks = [
            *WAYS[name].watch(model, dataset, os.path.join(folder, name)),
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
            ),
        ]
        gc.collect()
        begin = time.perf_counter()
        _fit(model, dataset, STEPS, callbacks)
    return ends[0] - begin, _peak_megabytes()


def _warm_up(xla, folder):
    """Has TensorFlow, XLA and TensorBoard load what they load late: nobody's cost."""
    tiny = networks.Network("", (1,), keras.layers.Dense(networks.CLASSES, "softmax"))
    model, dataset = networks.compiled(tiny, xla), networks.batches(tiny)
    callbacks = WAYS["keras"].watch(model, dataset, os.path.join(folder, "warm-up"))
    _fit(model, dataset, 1, callbacks)


def _fit(model, dataset, steps, callbacks):
    model.fit(
        dataset, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=callbacks
    )


def _peak_megabytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
