"""How much is written to the event files."""

import dataclasses
import pathlib

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Logged:
    """Bytes in the event files of one training.

    Attributes:
        histogram: of one serialized histogram, on average.
        total: of the files, divided by the number of histograms in them: what one
            layer takes each time it is written, with all that is written beside it.
    """

    histogram: float
    total: float


def read(folder):
    """Reads all event files below a folder.

    Returns:
        `Logged`, or None where there is no histogram.
    """
    files = [str(path) for path in pathlib.Path(folder).rglob("*tfevents*")]
    sizes = [
        value.ByteSize()
        for record in tf.data.TFRecordDataset(files).as_numpy_iterator()
        for value in tf.compat.v1.Event.FromString(record).summary.value
        if value.metadata.plugin_data.plugin_name == "histograms"
    ]
    if not sizes:
        return None
    total = sum(pathlib.Path(path).stat().st_size for path in files)
    return Logged(sum(sizes) / len(sizes), total / len(sizes))
