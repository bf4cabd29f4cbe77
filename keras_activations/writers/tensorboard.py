"""The TensorBoard event file of a run."""

import contextlib
import itertools
import os
import re
import warnings

import tensorflow as tf

from keras_activations.writers import summaries
from keras_activations.writers.event_file import EventFile

# A run of its own beside `train` and `validation` of Keras's own callback:
# both may log to one folder without mixing tags or steps.
RUN = "activations"


def check_log_dir(log_dir):
    """Says early, before any training, that a folder cannot be one.

    Writes nothing. Whether the folder is writable shows only on writing, and
    then must not stop the training, see `TensorBoardWriter`.

    Args:
        log_dir: str or `os.PathLike`; None for no folder.

    Returns:
        `log_dir` as a str, or None.

    Raises:
        TypeError: if `log_dir` is no path.
        ValueError: if `log_dir` is empty.
        NotADirectoryError: if `log_dir` exists and is not a folder.

    Example:

    >>> check_log_dir("logs")
    'logs'
    """
    if log_dir is None:
        return None
    path = os.fspath(log_dir) if isinstance(log_dir, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise TypeError(
            "`log_dir` must be a path (str or os.PathLike) or None. "
            f"Received: log_dir={log_dir!r} of type {type(log_dir).__name__}"
        )
    if not path:
        raise ValueError(
            "`log_dir` must name a folder; None writes no file. "
            f"Received: log_dir={log_dir!r}"
        )
    if os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(
            "`log_dir` must be a folder or a path that does not exist yet, "
            f"but a file has this name. Received: log_dir={log_dir!r}"
        )
    return path


class TensorBoardWriter:
    """Writes windows and findings for TensorBoard.

    The event file is made in `<log_dir>/activations` by the first write. A
    write after `close` begins a further file, which TensorBoard joins to the
    first, so that one writer serves several calls of `fit`.

    A folder that cannot be written, or a disk that fills up, must not end a
    training of days: the writer warns once and writes nothing more.

    Args:
        log_dir: str or `os.PathLike`, the folder given to
            `tensorboard --logdir`; made when missing.

    Raises:
        TypeError, ValueError, NotADirectoryError: see `check_log_dir`.

    Example:

    ```python
    with TensorBoardWriter("logs") as writer:
        writer.write_description(RunDescription(layers=[("model/dense", "tanh")]))
        writer.write_window(window)
        writer.write_findings(findings)
    ```
    """

    def __init__(self, log_dir):
        path = check_log_dir(log_dir)
        if path is None:
            raise ValueError(f"`log_dir` must name a folder. Received: {log_dir}")
        self.run_dir = os.path.join(path, RUN)
        self._file = None
        self._failed = False

    def write_description(self, description, step=0):
        """Writes what is monitored, and the layout of the Custom Scalars page.

        Args:
            description: a `RunDescription`.
            step: training steps done so far.
        """
        self._write(step, summaries.description_summary(description))

    def write_window(self, window):
        """Writes histograms and scalars of every layer, at the window's step.

        Args:
            window: a `Window`.
        """
        self._write(window.step, summaries.window_summary(window))

    def write_findings(self, findings):
        """Writes findings as text and as a marker, and flushes.

        Hand over all findings of a step together: TensorBoard then shows those
        of one rule in one text.

        Args:
            findings: sequence of `Finding`, in order of their steps.
        """
        for step, found in itertools.groupby(findings, lambda f: f.step):
            self._write(step, summaries.findings_summary(list(found)))
        self.flush()

    def flush(self):
        """Hands what was written to the operating system."""
        if self._file is not None:
            with self._warning_once():
                self._file.flush()

    def close(self):
        """Flushes and closes the file. Harmless when there is none."""
        file, self._file = self._file, None
        if file is not None:
            with self._warning_once():
                file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _write(self, step, summary):
        if self._failed or not summary.value:
            return
        with self._warning_once():
            if self._file is None:
                self._file = EventFile(self.run_dir)
            self._file.write(int(step), summary)
            # What a page shows of a run is as old as what it can read.
            self._file.flush()

    @contextlib.contextmanager
    def _warning_once(self):
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            self._file = None
            self._failed = True
            warnings.warn(
                f"Cannot write TensorBoard logs to {self.run_dir!r}: "
                f"{_reason(error)}. Training goes on, nothing more will be logged.",
                RuntimeWarning,
                stacklevel=2,
            )


def _reason(error):
    """A TensorFlow error without the names of nodes and ops around it."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error), flags=re.DOTALL)
    return " ".join(text.split()).rstrip(".")
