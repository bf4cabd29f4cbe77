"""Ratios of times, in rounds that take turns; and peaks of memory."""

import concurrent.futures
import multiprocessing
import resource
import sys
import time

import numpy as np

from benchmarks.speed.subjects import pair, runner


def ratios(name, place, dtype, xla, backward, rounds):
    """Time of ours over Keras's, in each round.

    Returns:
        Two arrays: of wall time, and of the processor's, which other processes on the
        machine disturb less.
    """
    runs = {
        whose: runner(function, place, dtype, xla, backward)
        for whose, function in pair(name).items()
    }
    for run in runs.values():
        run()
        run()
    wall, processor = ({whose: [] for whose in runs} for _ in range(2))
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for whose in order.permutation(list(runs)):
            began = time.perf_counter(), time.process_time()
            runs[whose]().numpy()
            wall[whose].append(time.perf_counter() - began[0])
            processor[whose].append(time.process_time() - began[1])
    return tuple(
        np.array(times["ours"]) / np.array(times["keras"])
        for times in (wall, processor)
    )


def peaks(name, dtype, xla):
    """Megabytes that forward and backward of the function add, ours and Keras's.

    Each in a fresh process, since memory that was ever taken counts for good.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=1, mp_context=context, max_tasks_per_child=1
    ) as processes:
        return {
            whose: processes.submit(_peak, name, whose, dtype, xla).result()
            for whose in ("ours", "keras")
        }


def _peak(name, whose, dtype, xla):
    function = pair(name)[whose]
    run = runner(function, "alone", dtype, xla, backward=True)
    before = _megabytes()
    run()
    return _megabytes() - before


def _megabytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
