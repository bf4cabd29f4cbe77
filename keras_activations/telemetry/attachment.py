"""Attachment to `fit`: puts the monitored step in the place of the model's own.

What `fit` calls each step is `model.train_function`, read anew every time. For as
long as the monitor is attached that attribute holds the monitored function, and
nothing else on the model changes.
"""

import contextlib
import weakref

import tensorflow as tf

_IN_LOOPS: weakref.WeakSet = weakref.WeakSet()


@contextlib.contextmanager
def loop_attachment(model, probe):
    """Watches a training loop written by hand while the context is open.

    Raises:
        ValueError: if another monitor is attached to the model.
    """
    _check_unwatched(model)
    _IN_LOOPS.add(model)
    # `train_on_batch` then traces a function anew, with the taps in place.
    plain, model.train_function = model.train_function, None
    try:
        with probe.watching_calls():
            yield
    finally:
        model.train_function = plain
        _IN_LOOPS.discard(model)


def _check_unwatched(model):
    other = getattr(vars(model).get("make_train_function"), "__self__", None)
    if isinstance(other, FitAttachment):
        other.detach()
    if isinstance(other, FitAttachment) or model in _IN_LOOPS:
        raise ValueError(
            "Another ActivationMonitor is attached to the model already; one is "
            f"enough. Received: model={model.name!r}"
        )


class FitAttachment:
    """The monitored train function of one model.

    Args:
        model: a compiled `keras.Model`.
        probe: the `Probe` that counts.
    """

    def __init__(self, model, probe):
        self.model = model
        self._probe = probe
        self._on_status = self._on_detach = _nothing
        self._plain = None
        self._monitored = None
        self.attached = False

    def attach(self, on_status, on_detach):
        """Sets the monitored train function; the model's own is kept for later.

        Args:
            on_status: callable `(status)` run on the host after each call of the
                train function; see `Probe.monitored`.
            on_detach: callable run once when the attachment ends.

        Raises:
            ValueError: if another monitor is attached to the model.
        """
        model = self.model
        _check_unwatched(model)
        self._on_status, self._on_detach = on_status, on_detach
        # A function traced in an earlier `fit` serves again, as Keras's own would.
        if self._monitored is None or model.train_function is not self._plain:
            self._plain = model.train_function
            self._monitored = self._make(model)
        model.train_function = self._monitored
        # `fit` and `train_on_batch` call this first. If the last `fit` broke off where
        # no hook of ours ran, here the model gets its own function back.
        vars(model)["make_train_function"] = self._make_train_function
        self.attached = True

    def detach(self):
        """Gives the model its own train function back; twice does no harm.

        Returns:
            bool: was it attached?
        """
        if not self.attached:
            return False
        self.attached = False
        vars(self.model).pop("make_train_function", None)
        if self.model.train_function is self._monitored:  # not after a new `compile`
            self.model.train_function = self._plain
        self._on_detach()
        return True

    def _make_train_function(self, force=False):
        self.detach()
        return self.model.make_train_function(force=force)

    def _make(self, model):
        own = vars(model).get("train_step")
        vars(model)["train_step"] = self._probe.monitored(model.train_step)
        try:
            model.make_train_function(force=True)
        finally:
            del vars(model)["train_step"]
            if own is not None:
                vars(model)["train_step"] = own
        step_function = model.train_function

        def train_function(iterator):
            try:
                logs, status = step_function(iterator)
                self._on_status(status.numpy())
            except (StopIteration, tf.errors.OutOfRangeError):
                raise  # the end of the data, not of the training
            except BaseException:
                self.detach()
                raise
            return logs

        return train_function


def _nothing(*args):
    pass
