"""What the peers share: they look on, note their alarms and change nothing."""

import keras

from benchmarks.faults.records import Alarm


class Peer(keras.callbacks.Callback):
    """A detector that notes what it would have said.

    Its first alarm would have ended the run; like the monitor's, later ones are noted
    all the same, one of a kind.

    Args:
        training: the `Training` that it watches.
        look: a `Look` at it, shared with the other peers.

    Attributes:
        alarms: list of `Alarm`.
    """

    name = ""

    def __init__(self, training, look):
        super().__init__()
        self.training = training
        self.look = look
        self.alarms = []
        self.step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1

    def say(self, rule, layer=None, value=None, threshold=None):
        """Notes an alarm, the first of its kind."""
        if all(alarm.rule != rule for alarm in self.alarms):
            value = None if value is None else float(value)
            alarm = Alarm(self.step, rule, layer, value=value, threshold=threshold)
            self.alarms.append(alarm)
