"""Attachment: puts the monitored step in the place of the model's own.

What `fit` calls each step is `model.train_function`, read anew every time; what
`evaluate` and `predict` call is `test_function` and `predict_function`. For as long as
the monitor is attached that attribute holds the monitored function, and nothing else
on the model changes.
"""

import contextlib
import weakref

import tensorflow as tf

from keras_activations.telemetry.building import build_metrics, build_optimizer

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


def _check_unwatched(model, phase="train"):
    other = getattr(vars(model).get(f"make_{phase}_function"), "__self__", None)
    if isinstance(other, Attachment):
        other.detach()
    if isinstance(other, Attachment) or model in _IN_LOOPS:
        raise ValueError(
            "Another ActivationMonitor is attached to the model already; one is "
            f"enough. Received: model={model.name!r}"
        )


class Attachment:
    """The monitored function of one phase of one model.

    Args:
        model: a `keras.Model`, compiled where the phase needs it.
        probe: the `Probe` that counts.
        phase: "train", "test" or "predict".
        around: callable that gives a context to be open while the function is traced.
    """

    def __init__(self, model, probe, phase, around=contextlib.nullcontext):
        self.model = model
        self._probe = probe
        self._phase = phase
        self._around = around
        self._on_status = self._on_detach = _nothing
        self._plain = None
        self._monitored = None
        self._step_function = None
        self._before_call = _nothing
        self.attached = False

    def attach(self, on_status, on_detach, before_call=None):
        """Sets the monitored function; the model's own is kept for later.

        Args:
            on_status: callable `(status)` run on the host after each call of the
                function; see `Probe.monitored`.
            on_detach: callable run once when the attachment ends.
            before_call: None, or a callable `(draw)` run before each call of the
                function; `draw()` gives the next batch, which is then trained on by
                itself.

        Raises:
            ValueError: if another monitor is attached to the model.
        """
        _check_unwatched(self.model, self._phase)
        self._on_status, self._on_detach = on_status, on_detach
        self._before_call = before_call or _nothing
        # A function traced earlier serves again, as Keras's own would.
        if self._monitored is None or self._current is not self._plain:
            self._plain = self._current
            self._monitored = self._make()
        self._current = self._monitored
        # `fit` and its kin call this first. If the last one broke off where no hook of
        # ours ran, here the model gets its own function back.
        vars(self.model)[self._maker] = self._make_function
        self.attached = True

    def detach(self):
        """Gives the model its own function back; twice does no harm.

        Returns:
            bool: was it attached?
        """
        if not self.attached:
            return False
        self.attached = False
        vars(self.model).pop(self._maker, None)
        if self._current is self._monitored:  # not after a new `compile`
            self._current = self._plain
        self._on_detach()
        return True

    @property
    def _current(self):
        return getattr(self.model, f"{self._phase}_function")

    @_current.setter
    def _current(self, function):
        setattr(self.model, f"{self._phase}_function", function)

    @property
    def _maker(self):
        return f"make_{self._phase}_function"

    def _make_function(self, force=False):
        self.detach()
        return getattr(self.model, self._maker)(force=force)

    def trace_anew(self):
        """The function is traced anew before it next runs."""
        self._step_function = None

    def _make(self):
        own_step = getattr(self.model, f"{self._phase}_step")
        step = self._probe.monitored(own_step)
        self._step_function = None

        def monitored_function(data):
            drawn = []

            def draw():
                drawn.append(next(data))
                return drawn[0]

            try:
                self._before_call(draw)
                if self._step_function is None:
                    self._build(data)
                    self._step_function = self._traceable(step)
                batches = _again(drawn, data) if drawn else data
                with self._in_place(step):
                    results, status = self._step_function(batches)
                self._on_status(status.numpy())
            except (StopIteration, tf.errors.OutOfRangeError):
                raise  # the end of the data, not of the training
            except BaseException:
                self.detach()
                raise
            return results

        return monitored_function

    def _build(self, iterator):
        if self._phase == "train":
            build_optimizer(self.model)
            build_metrics(self.model, iterator)

    def _traceable(self, step):
        """Keras's own function around the step, not traced yet."""
        self._probe.forget_traces()
        # Ours would detach.
        ours = vars(self.model).pop(self._maker, None)
        current = self._current
        try:
            with self._in_place(step), self._around_steps():
                getattr(self.model, self._maker)(force=True)
            return self._current
        finally:
            self._current = current
            if ours is not None:
                vars(self.model)[self._maker] = ours

    @contextlib.contextmanager
    def _around_steps(self):
        # Keras takes every step through this function once it is compiled: what is
        # put around it here runs outside of it, and outside of the replicas.
        attributes, name = vars(self.model), "_autoconvert_optionals"
        prepare = self.model._autoconvert_optionals
        attributes[name] = lambda step: prepare(self._probe.around(step))
        try:
            yield
        finally:
            del attributes[name]

    @contextlib.contextmanager
    def _in_place(self, step):
        # Keras looks up `train_step` when it makes the function, but `predict_step`
        # when it traces it.
        attributes, name = vars(self.model), f"{self._phase}_step"
        own = attributes.get(name)
        attributes[name] = step
        try:
            with self._around():
                yield
        finally:
            del attributes[name]
            if own is not None:
                attributes[name] = own


def _again(drawn, iterator):
    """The batches that were drawn, in what the step function takes without a trace."""
    if not isinstance(iterator, tf.data.Iterator):
        return drawn
    specs = iterator.element_spec
    if not all(isinstance(s, tf.TensorSpec) for s in tf.nest.flatten(specs)):
        return drawn
    # Traced functions know an iterator by its elements, an unknown batch size and all.
    return iter(tf.data.Dataset.from_generator(lambda: drawn, output_signature=specs))


def _nothing(*args):
    pass
