"""`ActivationMonitor`: wiring, schedule and Keras hooks."""

import contextlib
import os
import warnings
from typing import Any

import keras
import tensorflow as tf

from keras_activations._version import __version__
from keras_activations.actions.responses import action_name, check_action, respond
from keras_activations.health.rules import check_rules
from keras_activations.session import Session
from keras_activations.telemetry.selection import selector
from keras_activations.writers import (
    RunDescription,
    TensorBoardWriter,
    check_log_dir,
    check_metadata,
    print_report,
    render_report,
)

STOP_FLAGS = {"test": "stop_evaluating", "predict": "stop_predicting"}
INFERENCE_RUNS = {"test": "evaluate", "predict": "predict"}


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
            (default), `"raise"` (a `FindingError`), `"clip"` (drop the update, and clip
            gradients from then on), or a callable `(finding, model)`.
        on_saturation: likewise, without `"clip"`. Defaults to `"warn"`.
        on_dead_units: likewise. Defaults to `"warn"`.
        on_vanishing_gradient: likewise. Defaults to `"warn"`.
        on_exploding_gradient: likewise, with `"clip"`. Defaults to `"warn"`.
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
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "ActivationMonitor works with Keras's TensorFlow backend only. "
                f"Received: keras.backend.backend()={keras.backend.backend()!r}"
            )
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"`every` must be an int >= 1. Received: every={every!r}")
        if verbose not in (0, 1):
            raise ValueError(f"`verbose` must be 0 or 1. Received: verbose={verbose!r}")
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
        self.findings = []
        self.stats = {}
        self._epoch = 0
        self._last_step = 0
        self._called = False  # by name, and not as the validation inside a `fit`
        self._session: Any = None  # the `Session` at work, once there is one
        self._sessions: dict[str, Any] = {}
        self._writer: Any = None
        self._writers: dict[str, Any] = {}
        self._described = False

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
        if not self._attached_to("train", "loop"):
            self._attach(phase)
        elif called:  # else it is the validation inside `fit`, which is not watched
            warnings.warn(
                "This ActivationMonitor is attached to the training of the model "
                f"{self.model.name!r}, so this call is not watched: give it a monitor "
                "of its own. (A `fit` that an exception broke off counts as training "
                "until the next one begins.)",
                stacklevel=2,
            )

    def _attach(self, phase, optimizer=None):
        if self._attached_to(phase, "loop"):
            return  # the same monitor twice in one list of callbacks
        if self._attached:  # the last call broke off where no hook of ours ran
            self._session.detach()
        self._begin(self.model, optimizer, phase)
        self._session.attach(self._on_status, self._close_writer)

    def _detach(self, phase):
        session = self._sessions.get(phase)
        if self._attached and session is not None and self._session is session:
            session.detach()
            self._print_report()

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
                for finding in monitor.step():
                    print(finding)
        ```
        """
        if not isinstance(model, keras.Model):
            raise ValueError(
                f"`model` must be a keras.Model. Received: model={model!r}"
            )
        if not model.built:
            raise ValueError(
                "`model` must be built: call it once on a batch, or `model.build(shape)`. "
                f"Received: model={model.name!r}, not built"
            )
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
                self._last_step = self._session.probe.step
                yield self
        finally:
            self._close_writer()
        self._print_report()

    def step(self):
        """Judges the training step just done in the loop; see `attach`.

        Returns:
            list of the new `Finding`s.

        Raises:
            RuntimeError: outside `attach`, or when no step was counted.
        """
        if not self._attached:
            raise RuntimeError("`step` belongs inside `with monitor.attach(model):`.")
        if self._session.probe.step == self._last_step:
            raise RuntimeError(
                "No training step was counted since the last call of `step`. Trace the "
                "training function inside `with monitor.attach(model, optimizer):`, and "
                "give it the optimizer that the loop uses."
            )
        return self._examine()

    # What comes of a step

    @property
    def _attached(self):
        return self._session is not None and self._session.attached

    def _attached_to(self, *phases):
        """Whether it is this model that is watched, in one of these phases."""
        own = [self._sessions.get(phase) for phase in phases]
        return (
            self._attached
            and self._session.model is self.model
            and any(self._session is session for session in own)
        )

    def _begin(self, model, optimizer, phase):
        self.findings, self.stats, self._epoch = [], {}, 0
        known = self._sessions.get(phase)
        # The same model goes on where it was, unless it was compiled anew.
        if known is None or (known.model, known.optimizer) != (model, optimizer):
            known = self._sessions[phase] = Session(
                model,
                optimizer,
                self.every,
                self.layers,
                self.rules,
                self.actions,
                phase,
            )
        self._session = known
        self._writer = self._writer_of(phase)
        self._described = False

    def _writer_of(self, phase):
        if self.log_dir is None or not self._session.in_charge:
            return None
        if phase not in self._writers:
            run = INFERENCE_RUNS.get(phase, "")
            self._writers[phase] = TensorBoardWriter(os.path.join(self.log_dir, run))
        return self._writers[phase]

    def _on_status(self, status):
        # Step, first bad step, dropped updates, samples: mostly there is nothing.
        if status[:, 1:].any():
            self._examine()

    def _examine(self):
        judgement = self._session.examine(self._epoch)
        self._last_step = self._session.probe.step
        if judgement.window is not None:
            self.stats = judgement.window.layers
        self.findings += judgement.findings
        self._write(judgement)
        for finding in judgement.findings:
            if self._speaks and finding.action != "ignore":
                print(f"\nActivationMonitor ({finding.action}): {finding}")
        for finding in judgement.findings:
            flag = STOP_FLAGS.get(self._session.phase, "stop_training")
            respond(finding, self.actions[finding.rule], self._session.model, flag)
        return judgement.findings

    def _write(self, judgement):
        if self._writer is None:
            return
        if not self._described:
            self._writer.write_description(self._description(), step=self._last_step)
            self._described = True
        if judgement.window is not None:
            self._writer.write_window(judgement.window)
        if judgement.findings:
            self._writer.write_findings(judgement.findings)

    def _description(self):
        layers = [
            (entry.path, entry.activation)
            for bank in self._session.probe.banks.values()
            for entry in bank.layout.sampled
        ]
        rules = [
            (rule.name, action_name(self.actions[rule.name]), rule.thresholds())
            for rule in self.rules
        ]
        versions = {
            "keras_activations": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }
        return RunDescription(layers, rules, versions, self.metadata)

    @property
    def _speaks(self):
        return self.verbose and self._session.in_charge

    def _print_report(self):
        if self._speaks:
            print_report(self.stats, self.findings)

    def _close_writer(self):
        if self._writer is not None:
            self._writer.close()
