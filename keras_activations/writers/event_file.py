"""One event file, as TensorBoard reads it: records, each an `Event` of one step.

`tf.summary` writes such files too, in a good many calls into TensorFlow for each write:
beside the small steps of a small network these take longer than all that is written.
"""

import itertools
import os
import socket
import time

import tensorflow as tf
from tensorboard.compat.proto import event_pb2

_NUMBERS = itertools.count()


class EventFile:
    """A new event file.

    Args:
        folder: str, made when missing. TensorBoard shows it as one run.

    Raises:
        OSError, tf.errors.OpError: here and in all methods, if it cannot be written.
    """

    def __init__(self, folder):
        tf.io.gfile.makedirs(folder)
        # TensorBoard looks for the second word and sorts by the time; the rest keeps
        # files of two machines, processes or writers apart.
        parts = (int(time.time()), socket.gethostname(), os.getpid(), next(_NUMBERS))
        name = "events.out.tfevents.{:010d}.{}.{}.{}.v2".format(*parts)
        self._records = tf.io.TFRecordWriter(os.path.join(folder, name))
        self._write(file_version="brain.Event:2")
        self.flush()

    def write(self, step, summary):
        """Writes what is known of one step.

        Args:
            step: int.
            summary: `Summary` proto.
        """
        self._write(step=step, summary=summary)

    def flush(self):
        """Hands what was written to the operating system."""
        self._records.flush()

    def close(self):
        """Flushes and closes the file."""
        self._records.close()

    def _write(self, **what):
        event = event_pb2.Event(wall_time=time.time(), **what)
        self._records.write(event.SerializeToString())
