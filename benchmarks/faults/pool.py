"""Worker processes, each of which trains many programs one after the other."""

import multiprocessing

# A process grows with each model that was compiled in it, so it gives way to a new one.
RUNS_A_PROCESS = 40


def run_all(jobs, processes):
    """Does the jobs, in any order.

    Args:
        jobs: list of `(program name, seed, treatment)`.
        processes: int >= 1.

    Yields:
        what `running.run` returns.
    """
    # TensorFlow does not outlive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin, maxtasksperchild=RUNS_A_PROCESS) as pool:
        yield from pool.imap_unordered(_do, jobs)


def _begin():
    # As many processes as cores: threads of TensorFlow's own would stand in their way,
    # and with one thread sums are added in one order.
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")
    # The first training of a process takes longer than the others.
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(keras.ops.ones((4, 2)), keras.ops.ones((4, 1)), verbose=0)


def _do(job):
    from benchmarks.faults.registry import PROGRAMS
    from benchmarks.faults.running import run

    name, seed, treatment = job
    return run(PROGRAMS[name], seed, treatment)
