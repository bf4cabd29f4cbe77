"""The rules of AutoTrainer.

Zhang et al., "AUTOTRAINER: An Automatic DNN Training Problem Detection and Repair
System", ICSE 2021. Thresholds are the defaults of the paper and of its program.
"""

import numpy as np

from benchmarks.faults.peers.peer import Peer

EVERY = 3  # epochs between two looks
RATIO_LOW, FIRST_LOW = 1e-3, 1e-4  # vanishing: first over last kernel, and the first
RATIO_HIGH = 70  # exploding
ZERO_SHARE = 0.7  # dying: gradient entries that are 0
ENOUGH = 0.7  # accuracy above which nothing is wrong
LOOK_FROM = 0.3  # share of the epochs before which accuracy is not judged
SWING, SWINGS = 0.03, 0.2  # oscillation: of accuracy, in such a share of the epochs
GAIN = 0.01  # slow: the greatest gain of accuracy in an epoch
LOSS_LIMIT = 1e5


class AutoTrainer(Peer):
    """Gradients of one batch and the course of the accuracy, every third epoch.

    In a regression there is no accuracy: only what is not finite is found there.
    """

    name = "autotrainer"

    def __init__(self, training, look):
        super().__init__(training, look)
        self._accuracy = []  # (training, validation) of each epoch
        self._suspect = set()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if "accuracy" in logs:
            self._accuracy.append((logs["accuracy"], self.look.accuracy()))
        if epoch % EVERY:
            return
        found, _ = self.look.at(self.step)
        if not all(np.isfinite(g).all() for g in found) or not (
            logs["loss"] < LOSS_LIMIT
        ):
            self.say("nonfinite")
        self._look_at(found)
        if self._accuracy and epoch + 1 >= LOOK_FROM * self.training.epochs:
            self._judge()

    def _look_at(self, found):
        kernels = [np.linalg.norm(g) for g in found if g.ndim > 1]
        zeros = sum(np.sum(g == 0) for g in found) / sum(g.size for g in found)
        # Comparisons with NaN are false: what is not finite is told above.
        ratio = kernels[0] / kernels[-1] if kernels and kernels[-1] else np.nan
        if zeros >= ZERO_SHARE:
            self._suspect.add("dead_units")
        if ratio > RATIO_HIGH:
            self._suspect.add("exploding_gradient")
        if ratio < RATIO_LOW and kernels[0] < FIRST_LOW:
            self._suspect.add("vanishing_gradient")

    def _judge(self):
        best = np.max(self._accuracy, axis=0)
        gains = np.diff(self._accuracy, axis=0)
        slow = not len(gains) or gains.max() < GAIN
        if (best < ENOUGH).any() or slow:
            for rule in ("dead_units", "exploding_gradient", "vanishing_gradient"):
                if rule in self._suspect:
                    self.say(rule)
                    return
            if slow:
                self.say("slow convergence")
        elif _swings(np.array(self._accuracy)[:, 0]):
            self.say("oscillating loss")


def _swings(accuracy):
    """Whether peaks and dips that follow each other lie far apart, and often."""
    before, here, after = accuracy[:-2], accuracy[1:-1], accuracy[2:]
    peaks = here[(here >= before) & (here >= after)]
    dips = here[(here <= before) & (here <= after)]
    pairs = min(len(peaks), len(dips))
    count = np.sum(peaks[:pairs] - dips[:pairs] >= SWING)
    return bool(pairs) and count >= SWINGS * len(accuracy)
