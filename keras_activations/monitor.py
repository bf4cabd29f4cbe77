"""`ActivationMonitor`: wiring, schedule and Keras hooks."""

import contextlib

import keras

from keras_activations import options
from keras_activations.actions.responses import check_action
from keras_activations.chart import Chart
from keras_activations.health.rules import check_rules
from keras_activations.journal import Journal
from keras_activations.sessions import Sessions
from keras_activations.telemetry.selection import selector
from keras_activations.writers import check_log_dir, check_metadata, render_report


class ActivationMonitor(keras.callbacks.Callback):
    """Watches every activation while a model trains, and says which layer is ill.

    It counts inside the compiled training step, without a further forward pass and
    without changing what is trained. Put it first in the list of callbacks, so that
    the others see the `saturation`, `dead_units` and `nonfinite` that it adds to the
    logs of each epoch (the worst layer's value).

    Args:
        log_dir: TensorBoard directory; None (default) writes no file.
        layers: whose distribution is sampled: `"auto"` (default; layers that apply a
            non-linear activation, and recurrent layers), `"all"` (every leaf layer), a
            list of names, paths or glob patterns, or a callable `layer -> bool`. NaN
            and Inf are counted for every layer whatever is chosen here.
        every: int >= 1, training steps between two samples of the distributions.
            Defaults to 50. The first step of a fit is always sampled. NaN and Inf are counted
            in every step.
        on_nonfinite: what to do about NaN or Inf: `"ignore"`, `"warn"`, `"stop"`
            (default), `"raise"` (a `FindingError`), `"clip"` (keep the run inside
            bounds), `"rescue"` (repair it while it runs), or a callable
            `(finding, model)`.
        on_saturation, on_dead_units, on_vanishing_gradient, on_exploding_gradient:
            likewise. Default to `"warn"`.
        rules: list of rule objects of `keras_activations.rules`, in place of the
            default ones.
        metadata: dict of str, e.g. model version, commit, data set; written beside
            the logs.
        verbose: 0 silent, 1 (default) prints findings and a closing table.

    Attributes:
        findings: list of `Finding` of this fit, in order.
        stats: dict of layer path to `LayerStats` of the last full window.

    Raises:
        ValueError: for an unknown option or one that is not supported.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh")])
    >>> model.compile("sgd", "mse")
    >>> monitor = ActivationMonitor(verbose=0)
    >>> x = keras.ops.ones((8, 2))
    >>> history = model.fit(x, x[:, :1], verbose=0, callbacks=[monitor])
    >>> monitor.findings
    []
    >>> [stats.count for stats in monitor.stats.values()]
    [24]
    """

    def __init__(
        self,
        log_dir=None,
        layers="auto",
        every=50,
        on_nonfinite="stop",
        on_saturation="warn",
        on_dead_units="warn",
        on_vanishing_gradient="warn",
        on_exploding_gradient="warn",
        rules=None,
        metadata=None,
        verbose=1,
    ):
        super().__init__()
        options.check_options(every, verbose)
        selector(layers)
        self.log_dir = check_log_dir(log_dir)
        self.layers = layers
        self.every = every
        self.rules = check_rules(rules)
        actions = {
            "nonfinite": on_nonfinite,
            "saturation": on_saturation,
            "dead_units": on_dead_units,
            "vanishing_gradient": on_vanishing_gradient,
            "exploding_gradient": on_exploding_gradient,
        }
        self.actions = {
            rule: check_action(rule, action) for rule, action in actions.items()
        }
        self.metadata = check_metadata(metadata)
        self.verbose = verbose
        self._epoch = 0
        self._called = False  # by name, and not as the validation inside a `fit`
        self._sessions = Sessions(every, layers, self.rules, self.actions)
        self._journal = Journal(
            self.log_dir, self.rules, self.actions, self.metadata, verbose
        )
        self._chart = Chart(self._journal, self.actions)

    @property
    def findings(self):
        return self._chart.findings

    @property
    def stats(self):
        return self._chart.stats

    def report(self):
        """The last window as a table, worst layer first, and the findings.

        Returns:
            str, without colours.
        """
        return render_report(self.stats, self.findings)

    # Keras hooks

    def set_params(self, params):
        super().set_params(params)
        self._called = True  # Keras does it for each list of callbacks that it is given

    def on_train_begin(self, logs=None):
        self._called = False
        self._attach("train", getattr(self.model, "optimizer", None))

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._session.begin_epoch()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self._session.epoch_logs(self.stats))

    def on_train_end(self, logs=None):
        self._detach("train")

    def on_test_begin(self, logs=None):
        self._attach_to_inference("test")

    def on_test_end(self, logs=None):
        self._detach("test")

    def on_predict_begin(self, logs=None):
        self._attach_to_inference("predict")

    def on_predict_end(self, logs=None):
        self._detach("predict")

    def _attach_to_inference(self, phase):
        called, self._called = self._called, False
        if not self._sessions.attached_to(self.model, "train", "loop"):
            self._attach(phase)
        elif called:  # else it is the validation inside `fit`, which is not watched
            options.warn_not_watched(self.model)

    def _attach(self, phase, optimizer=None):
        if self._sessions.attached_to(self.model, phase, "loop"):
            return  # the same monitor twice in one list of callbacks
        if self._attached:  # the last call broke off where no hook of ours ran
            self._session.detach()
        self._begin(self.model, optimizer, phase)
        self._session.attach(
            self._on_status, self._journal.close, self._chart.note_treatment
        )

    def _detach(self, phase):
        if self._sessions.attached_to(None, phase):
            self._session.detach()
            self._journal.print_report(self.stats, self.findings)

    # A training loop written by hand

    @contextlib.contextmanager
    def attach(self, model, optimizer=None):
        """Watches a training loop written by hand, while the context is open.

        A `tf.function` must be traced inside the context to be watched. Call the model
        with `training=False` where it is not a training step. A step ends when the
        optimizer applies its gradients or, where no optimizer is known, when the
        model's call ends: then there are no gradient figures.

        Args:
            model: a built `keras.Model`.
            optimizer: the optimizer of the loop. Defaults to the model's own when it
                is compiled.

        Raises:
            ValueError: if the model is no Keras model, not built, or watched already.

        Example:

        ```python
        with monitor.attach(model, optimizer):
            for batch in data:
                train_step(batch)
                new_findings = monitor.step()
        ```
        """
        options.check_loop_model(model)
        if self._attached and not self._session.detach():
            raise ValueError(
                "This ActivationMonitor is attached to a loop already. "
                f"Received: model={model.name!r}"
            )
        if optimizer is None:
            optimizer = getattr(model, "optimizer", None)
        self._begin(model, optimizer, "loop")
        try:
            with self._session.attach_to_loop():
                self._chart.last_step = self._session.probe.step
                yield self
        finally:
            self._journal.close()
        self._journal.print_report(self.stats, self.findings)

    def step(self, inputs=None):
        """Judges the training step just done in the loop; see `attach`.

        Args:
            inputs: what the model was called with in it. `"rescue"` needs it to rescale
                weights; without, it says that it cannot.

        Returns:
            list of the new `Finding`s.

        Raises:
            RuntimeError: outside `attach`, or when no step was counted.
        """
        if not self._attached:
            raise RuntimeError("`step` belongs inside `with monitor.attach(model):`.")
        options.check_counted(self._session.probe.step, self._chart.last_step)
        return self._chart.examine(self._epoch, inputs)

    # What comes of a step

    @property
    def _session(self):
        """The `Session` at work, None before the first."""
        return self._sessions.current

    @property
    def _attached(self):
        return self._sessions.attached

    def _begin(self, model, optimizer, phase):
        self._epoch = 0
        self._chart.begin(self._sessions.begin(model, optimizer, phase))

    def _on_status(self, status):
        # Step, first bad step, dropped updates, samples: mostly there is nothing.
        if status[:, 1:].any():
            self._chart.examine(self._epoch)
