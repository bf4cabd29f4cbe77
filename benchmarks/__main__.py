"""`python -m benchmarks`: the cost of a step, watched in several ways.

Every way trains a network of its own in short rounds, one way after the other, so
that whatever else the machine does meets all of them. Each round gives a ratio to
the bare step of the same round; shown are the median and the quartiles.
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import keras_activations as ka
from benchmarks import networks


class Timer(keras.callbacks.Callback):
    """Seconds from the first step's beginning to the last step's end."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.begin = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds = time.perf_counter() - self.begin


def monitor(**options):
    return lambda folder: [ka.ActivationMonitor(folder, verbose=0, **options)]


def keras_own(folder):
    return [
        keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False),
        keras.callbacks.TerminateOnNaN(),
    ]


WAYS = {
    "bare": lambda folder: [],
    "monitor (default)": monitor(),
    "monitor, every=10": monitor(every=10),
    "monitor, every=1": monitor(every=1),
    "Keras TensorBoard + TerminateOnNaN": keras_own,
    "`tf.debugging.enable_check_numerics`": lambda folder: [],
}


def trainer(name, jit, way, steps, folder):
    """A function that trains `steps` steps and gives their seconds."""
    checked = "check_numerics" in way
    model, timer = networks.build(name, jit), Timer()
    callbacks = [*WAYS[way](folder), timer]
    x, y = networks.data(name, steps)

    def run():
        # It takes effect while a step is traced, and is for the whole process.
        if checked:
            tf.debugging.enable_check_numerics()
        try:
            model.fit(x, y, batch_size=networks.BATCH, verbose=0, callbacks=callbacks)
        finally:
            if checked:
                tf.debugging.disable_check_numerics()
        return timer.seconds

    return run


def measure(name, jit, steps, rounds):
    """For each way the ratios to the bare step, and to its first step."""
    # Under XLA `enable_check_numerics` does not compile: nothing to compare.
    ways = [way for way in WAYS if not (jit and "check_numerics" in way)]
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            way: trainer(name, jit, way, steps, os.path.join(folder, str(i)))
            for i, way in enumerate(ways)
        }
        first = {way: run() for way, run in runs.items()}  # traces and compiles
        taken = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in runs.items():
                taken[way].append(run())
    bare = np.array(taken["bare"])
    ratios = {way: np.array(seconds) / bare for way, seconds in taken.items()}
    return ratios, {way: seconds / first["bare"] for way, seconds in first.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(networks.NETWORKS))
    parser.add_argument("--steps", type=int, default=50, help="steps a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--xla", action="store_true", help="compile with XLA")
    options = parser.parse_args()
    print("| network | watched by | step: median (quartiles) | first round |")
    print("|---|---|---|---|")
    for name in options.networks:
        ratios, first = measure(name, options.xla, options.steps, options.rounds)
        for way, values in ratios.items():
            low, middle, high = np.percentile(values, [25, 50, 75])
            print(
                f"| {name} | {way} | {middle:.2f} ({low:.2f} to {high:.2f}) | "
                f"{first[way]:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
