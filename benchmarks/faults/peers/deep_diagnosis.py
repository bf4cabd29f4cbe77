"""The rules of DeepDiagnosis that judge activations and gradients.

Wardat et al., "DeepDiagnosis: Automatically Diagnosing Faults and Recommending
Actionable Fixes in Deep Learning Programs", ICSE 2022.
"""

import numpy as np

from benchmarks.faults.peers.peer import Peer

BOUNDED = ("tanh", "sigmoid")
RECTIFIED = ("relu",)
DEAD_SHARE = 0.7  # outputs of a rectifier at or below 0
BEYOND, SATURATED_SHARE = 5.0, 0.5  # pre-activations of bounded functions
LEAST_GRADIENT = 1e-7  # mean absolute entry of a kernel's gradient


class DeepDiagnosis(Peer):
    """One batch at the end of each epoch, eagerly."""

    name = "deep_diagnosis"

    def on_epoch_end(self, epoch, logs=None):
        found, inputs = self.look.at(self.step)
        for layer, function, values in inputs:
            self._judge_values(layer, function, values)
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            self.say("nonfinite")
        for weight, gradient in zip(self.model.trainable_weights, found, strict=True):
            layer = weight.path.split("/")[-2]
            size = np.mean(np.abs(gradient))
            if not np.isfinite(size):
                self.say("nonfinite", layer)
            elif gradient.ndim > 1 and size < LEAST_GRADIENT:
                self.say("vanishing_gradient", layer, size, LEAST_GRADIENT)

    def _judge_values(self, layer, function, values):
        if not np.isfinite(values).all():
            self.say("nonfinite", layer)
        elif function in RECTIFIED:
            share = np.mean(values <= 0)
            if share >= DEAD_SHARE:
                self.say("dead_units", layer, share, DEAD_SHARE)
        else:
            share = np.mean(np.abs(values) >= BEYOND)
            if share > SATURATED_SHARE:
                self.say("saturation", layer, share, SATURATED_SHARE)
