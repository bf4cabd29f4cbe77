"""When `keras.callbacks.TerminateOnNaN` would have ended the run."""

import numpy as np

from benchmarks.faults.peers.peer import Peer


class TerminateOnNaN(Peer):
    """Looks at the running mean of the loss after each step, as Keras's does."""

    name = "terminate_on_nan"

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if not np.isfinite(logs["loss"]):
            self.say("nonfinite")
