"""A log folder on a disk that fills up: run by `test_tensorboard.py` as a process."""

import resource
import sys
import warnings
from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import Summary

from keras_activations.telemetry.stats import LayerStats, Window
from keras_activations.writers.tensorboard import RUN, TensorBoardWriter


def limit_files(size):
    """From here on no file of this process grows beyond `size` bytes; None lifts it."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def window(step):
    layer = LayerStats("model/hidden", count=4, mean=0.25, std=1.0, min=-1.0, max=1.0)
    return Window(step, 0, 1, {layer.path: layer})


def fill_up(folder):
    """The disk is full after the first window."""
    writer = TensorBoardWriter(folder)
    writer.write_window(window(1))
    (file,) = (Path(folder) / RUN).iterdir()
    limit_files(file.stat().st_size)
    for step in range(2, 40):
        writer.write_window(window(step))
    writer.close()


def fail_at_the(end, folder):
    """The disk is full when something is left to write, as on a slow network folder."""
    writer = TensorBoardWriter(folder)
    writer.write_window(window(1))
    # What the writer itself writes it flushes at once.
    writer._file.write(2, Summary(value=[Summary.Value(tag="rest", simple_value=1)]))
    limit_files(0)
    getattr(writer, end)()
    limit_files(None)
    writer.write_window(window(3))
    writer.close()


def main(case, folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if case == "write":
            fill_up(folder)
        else:
            fail_at_the(case, folder)
    told = [w for w in caught if issubclass(w.category, RuntimeWarning)]
    assert len(told) == 1, told
    assert "File too large" in str(told[0].message)


if __name__ == "__main__":
    main(*sys.argv[1:])
