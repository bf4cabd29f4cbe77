"""What is kept of a run while it runs: the truth from outside, and the windows."""

import time

import keras
import numpy as np

from keras_activations.health.rules import default_rules


class Truth(keras.callbacks.Callback):
    """Reads loss and weights after each step, with nothing of the package.

    Attributes:
        step: training steps seen.
        first_bad_step: the first after which one of them was not finite, or None.
        losses: of each step, as far as the running mean in the logs tells it.
        later_seconds: processor time since the end of the first epoch.
    """

    def __init__(self):
        super().__init__()
        self.step = 0
        self.first_bad_step = None
        self.losses = []
        self._mean_before = 0.0
        self._epoch_end = None

    @property
    def later_seconds(self):
        if self._epoch_end is None:
            return 0.0
        return time.process_time() - self._epoch_end

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        mean = float(logs["loss"])
        before = self._mean_before if batch else 0.0
        self.losses.append(mean * (batch + 1) - before * batch)
        self._mean_before = mean
        if self.first_bad_step is None and not (
            np.isfinite(mean) and finite_weights(self.model)
        ):
            self.first_bad_step = self.step

    def on_epoch_end(self, epoch, logs=None):
        if self._epoch_end is None:
            self._epoch_end = time.process_time()


def finite_weights(model):
    """Whether every weight of the model is finite."""
    return all(
        np.isfinite(values).all()
        for values in map(keras.ops.convert_to_numpy, model.weights)
        if values.dtype.kind == "f"
    )


def recorded_rules(windows):
    """The default rules, one of which notes every window that it is shown.

    Args:
        windows: list that they are added to.
    """
    rules = default_rules()
    rule = next(rule for rule in rules if rule.name == "saturation")
    judge = rule.judge

    def noted(window, *more):
        windows.append(window)
        return judge(window, *more)

    rule.judge = noted
    return rules
