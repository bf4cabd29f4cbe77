"""The patient: a model in training, and all that can be done to it."""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras

from keras_activations.actions.bounds import Bounds
from keras_activations.actions.decay import DecayLimit
from keras_activations.actions.feeds import NotTaken
from keras_activations.actions.learning_rate import keep_below, momentum_of
from keras_activations.actions.preconditioning import knows_how
from keras_activations.actions.slots import forget, inner_optimizer
from keras_activations.actions.snapshots import Snapshots, looks_healthy
from keras_activations.actions.targets import OtherTargets, standardised_targets
from keras_activations.actions.untreatable import Untreatable
from keras_activations.health.history import LEARNT
from keras_activations.health.norms import total_norm
from keras_activations.health.weights import longest_stride


@dataclasses.dataclass
class Patient:
    """A model in training.

    Attributes:
        model: the `keras.Model`.
        optimizer: its optimizer, or None.
        guard: the `UpdateGuard` in its step.
        bounds: the `Bounds` of its activations.
        snapshots: its `Snapshots`.
        trace_anew: callable that has the step traced anew before it next runs; None
            in a loop by hand, where the user has traced it.
        greatest_rate: the learning rate that was too high was lowered to this.
        stride: see `weights.longest_stride`, the greatest of the first window at the
            rate of now, or None. Later ones are those of weights that came apart.
        norm: of all gradients together in that window, or None.
        loss: of that window, or None where it is not known or no number.
        shrunk: whether weights were scaled down so that nothing overflows.
    """

    model: keras.Model
    optimizer: Any
    guard: Any
    bounds: Bounds
    snapshots: Snapshots
    trace_anew: Callable | None = None
    greatest_rate: float = math.inf
    stride: float | None = None
    norm: float | None = None
    loss: float | None = None
    shrunk: bool = False
    _updates_before: int = 0

    def __post_init__(self):
        self._decay = DecayLimit(self.model, self.optimizer)

    @contextlib.contextmanager
    def tracing(self):
        """To be open while a step is traced."""
        with self.bounds.in_place(), self._decay.in_place():
            yield

    def begin(self, trace_anew):
        """A run begins; `trace_anew` as above."""
        self.trace_anew = trace_anew
        self.greatest_rate, self.shrunk = math.inf, False
        self.stride = self.norm = self.loss = None
        if self.guard is not None:
            self._updates_before = self._updates

    def see(self, window):
        """Notes how far updates go, of the first `Window` only."""
        if self.stride is None:
            layers = window.layers.values()
            self.stride = max(map(longest_stride, layers), default=0.0)
            self.norm = total_norm(window)
            known = window.loss is not None and math.isfinite(window.loss)
            self.loss = window.loss if known else None

    def has_learnt(self, window):
        """Whether the loss is well below that of the first window, as far as known."""
        if self.loss is None or window.loss is None:
            return True
        return window.loss < LEARNT * self.loss

    def looks_healthy(self, window):
        """Whether no layer is on its way to a finding, and the loss has not grown."""
        grown = None not in (self.loss, window.loss) and not window.loss <= self.loss
        return looks_healthy(window) and not grown

    @property
    def slowed(self):
        """Whether the learning rate was too high once in this run."""
        return self.greatest_rate < math.inf

    @property
    def momentum(self):
        """Of the optimizer, or what it was lowered to."""
        return min(momentum_of(self.optimizer), self.guard.limits.momentum)

    @property
    def standardises_units(self):
        """Whether updates of layers behind the first are made as of standardised inputs."""
        layers = self.guard.preconditioner.layers.values()
        return not all(layer.of_data for layer in layers)

    @property
    def unchanged(self):
        """Whether no update has been made since the run began."""
        return self._updates == self._updates_before

    @property
    def _updates(self):
        # What Keras counts in it are steps whose updates were not held back.
        return int(inner_optimizer(self.optimizer)._iterations.numpy())

    def keep_rate(self):
        """Keeps a lowered learning rate low: a callback may set it before each step."""
        if self.slowed:
            keep_below(self.optimizer, self.greatest_rate)

    def retrace(self):
        """Has the step traced anew.

        Raises:
            Untreatable: in a loop by hand.
        """
        if self.trace_anew is None:
            raise Untreatable(
                "the step would have to be traced anew, and in a training loop written "
                "by hand that is not the monitor's to do"
            )
        self.trace_anew()

    def restore(self, older=False):
        """Goes back to a snapshot; see `Snapshots.restore`."""
        step = self.snapshots.restore(older)
        self.guard.preconditioner.forget_slots(self.optimizer)
        return step

    def forget_momentum(self):
        """What was gathered at a rate that was too high drives the weights on."""
        forget(self.optimizer, self.model.trainable_variables)

    def standardise_inputs(self, inputs, of_data=False):
        """Makes updates as though the inputs of each layer were standardised.

        Args:
            inputs: one batch.
            of_data: bool, only of the layers that see the data. Defaults to False.

        Returns:
            bool: whether that can be done.
        """
        if self.trace_anew is None or not self.guard.used:
            return False
        preconditioner = self.guard.preconditioner
        try:
            done = preconditioner.add(self.model, inputs, self.optimizer, of_data)
        except NotTaken:
            return False
        if done:
            self.guard.norms.learn_anew()
            self.trace_anew()
        return done

    def leave_units(self):
        """Standardises no more than the data from now on."""
        self.guard.preconditioner.leave_units(self.optimizer)
        self.guard.norms.learn_anew()
        self.retrace()

    def rewrite_for_data(self, inputs, beyond=0.0):
        """Has the layers that see the data compute what they would of standardised data.

        Args:
            inputs: one batch.
            beyond: only where the root mean square of the data is above it. Defaults
                to 0.

        Returns:
            bool: whether that can be done.
        """
        preconditioner = self.guard.preconditioner
        if preconditioner.rewritten or preconditioner.layers:
            return False  # it was done, and learnt from since
        try:
            return preconditioner.rewrite(self.model, inputs, self.optimizer, beyond)
        except NotTaken:
            return False

    def standardised_targets(self, batch, only_large=False):
        """What it takes to make updates as though the targets were standardised.

        Args:
            batch: a `Batch`.
            only_large: see `targets.standardised_targets`.

        Raises:
            OtherTargets: if that cannot be done.
        """
        if self.trace_anew is None or not knows_how(self.model, self.optimizer):
            raise OtherTargets("the updates of this run cannot be made in other terms")
        return standardised_targets(self.model, batch.inputs, batch.targets, only_large)

    def learn_of(self, targets, batch):
        """Makes updates from now on as though targets were standardised.

        They are what `standardised_targets` gave, for the same `Batch`.
        """
        for each in targets:
            each.begin(lambda: self.model(batch.inputs, training=False))
            self.bounds.scale_gradient(each.layer, each.loss_factor)
        self.guard.preconditioner.targets = targets
        self.guard.preconditioner.forget_slots(self.optimizer)
        self.guard.norms.learn_anew()
        self.retrace()

    def limit_decay(self):
        """Limits what shrinks weights; see `DecayLimit.limit`."""
        self.retrace()
        return self._decay.limit()

    def clip_gradients(self, at_least=0.0, at_most=math.inf):
        """Clips gradients from now on; see `Norms.clip_from_now_on`.

        Returns:
            float, the norm.
        """
        norms = self.guard.norms
        norms.clip_from_now_on(at_least, at_most)
        self.let_clip()
        return float(norms.clip.numpy())

    def let_clip(self):
        """Makes clipping part of the step, where it is not yet."""
        if not self.guard.clipping:
            self.guard.clipping = True
            self.retrace()
