"""Event files, as TensorFlow reads records and TensorBoard the folder."""

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from keras_activations.writers.event_file import EventFile
from tests.board import Board


def summary(value):
    return Summary(value=[Summary.Value(tag="mean", simple_value=value)])


def events(path):
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [Event.FromString(record) for record in records]


def test_a_version_and_then_an_event_for_each_write(tmp_path):
    file = EventFile(str(tmp_path / "logs" / "run"))
    for step in (3, 2**40):
        file.write(step, summary(step))
    file.close()

    [path] = (tmp_path / "logs" / "run").iterdir()
    version, *written = events(path)
    assert version.file_version == "brain.Event:2"
    assert [event.step for event in written] == [3, 2**40]
    assert [event.summary for event in written] == [summary(3), summary(2**40)]
    times = [event.wall_time for event in (version, *written)]
    assert times == sorted(times)
    assert abs(times[-1] - path.stat().st_mtime) < 60


def test_what_was_flushed_can_be_read(tmp_path):
    file = EventFile(str(tmp_path))
    file.write(1, summary(0.5))
    file.flush()
    [path] = tmp_path.iterdir()
    assert len(events(path)) == 2
    file.close()


def test_files_of_one_moment_are_one_run(tmp_path):
    files = [EventFile(str(tmp_path / "activations")) for _ in range(3)]
    for step, file in enumerate(files):
        file.write(step, summary(step))
        file.close()
    assert len(list((tmp_path / "activations").iterdir())) == 3
    assert sorted(Board(tmp_path).scalar("mean")) == [(0, 0), (1, 1), (2, 2)]
