"""The guard: holds back a bad update, whole, inside the training step."""

import keras
import tensorflow as tf

from keras_activations.actions.gradients import scaled, squares, without_nonfinite
from keras_activations.actions.held import Held
from keras_activations.actions.learning_rate import Limits, within
from keras_activations.actions.norms import UsualNorm
from keras_activations.actions.preconditioning import Preconditioner
from keras_activations.telemetry.optimizers import loss_scale

RAISED_TO = 0.1


class UpdateGuard:
    """Drops updates that would do harm, and clips those that follow.

    An update is bad when its gradients are not finite or, with `exploding`, when
    their global norm leaps above what the run has shown. A bad update leaves weights,
    moving statistics, optimizer slots and iterations as they were. From the first one
    on, gradients are clipped to the mean global norm of the healthy steps before it.
    Until then they are not touched.

    There are two ways to hold back an update. Inside the step: a condition around what
    the optimizer does. It costs nothing, but XLA compiles such an update differently,
    to the last digit of every healthy step, and on several replicas an update may not
    run inside a condition. There the step is run as it is, and put back from outside:
    for as long as it runs, that needs a second copy of weights and slots.

    Args:
        model: the `keras.Model` that is trained.
        nonfinite: bool, hold back updates that are not finite.
        exploding: None, or an `ExplodingGradient` rule.
        outside: bool, hold back from outside of the step; see `around`.

    Attributes:
        norms: the `UsualNorm`.
        clipping: bool, is clipping part of the step? From outside it becomes so by
            tracing the step anew, after the first update that was dropped.
        zeroing: bool, are entries that are not finite set to zero instead of dropping
            their update?
        raised: ids of the variables whose gradients are scaled up to `RAISED_TO` of
            the greatest one's norm.
        limits: the `Limits` of learning rate and momentum.
        preconditioner: the `Preconditioner` of the updates.
        used: whether a step with it was traced.
        before_update: called before each update that is traced, or made eagerly.

    Those from `clipping` to `preconditioner` take effect when the step is next traced.
    """

    def __init__(self, model, nonfinite=True, exploding=None, outside=False):
        self._model = model
        self._nonfinite = nonfinite
        self.outside = outside
        self.norms = UsualNorm(exploding)
        self.clipping = not outside
        self.zeroing = False
        self.raised: set[int] = set()
        self.limits = Limits()
        self.preconditioner = Preconditioner()
        self.used = False
        self.before_update = lambda: None
        self._held = None

    @property
    def learns_otherwise(self):
        """Whether updates are made in other terms than those of the variables."""
        return self.preconditioner.active

    def units_of(self, variable):
        """See `Preconditioner.units_of`."""
        return self.preconditioner.units_of(variable)

    def before_step(self):
        """Holds the state that a step changes beside what the optimizer does."""
        if not self.outside:
            self._held = Held(self._model)

    def after_step(self, dropped):
        """Puts that state back where the update was dropped."""
        held, self._held = self._held, None
        if held is not None:
            _when(dropped, held.put_back)

    def apply(self, optimizer, apply, gradients, variables, norms, loss):
        """Applies an update, or drops it.

        Args:
            optimizer: what applies it.
            apply: callable `(gradients, variables)`, the optimizer's own.
            gradients: list of tensors, `tf.IndexedSlices` or None.
            variables: the variables they belong to.
            norms: squared L2 norms of the gradients that are not None.
            loss: the loss, a scalar, or None.

        Returns:
            boolean scalar: is the update dropped? And the squared norms of what is
            learnt of these gradients.
        """
        self.used = True
        self.before_update()
        # LossScaleOptimizer drops updates that are not finite itself, and must see
        # them: they are how it finds its scale.
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self.zeroing and not scales:
            gradients = without_nonfinite(gradients)
            norms = squares(gradients)
        if self.preconditioner.active:
            # Finite or not: an entry that is not makes its own sum not finite.
            gradients = self.preconditioner.gradients(gradients, variables)
            norms = squares(gradients, loss_scale(optimizer))
        norm = tf.sqrt(tf.add_n(norms))
        if self.raised:
            gradients = _raised(gradients, variables, norms, self.raised)
        sound = tf.math.is_finite(norm)
        healthy = tf.constant(True) if scales or not self._nonfinite else sound
        if loss is not None and self._nonfinite:
            healthy &= tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(loss)))
        explodes = sound & self.norms.explodes(norm)
        bad = explodes | ~healthy
        if self.clipping:
            scale = self.norms.scale(norm)
            gradients = [scaled(gradient, scale) for gradient in gradients]

        def apply_slowed():
            with within(optimizer, self.limits):
                apply(gradients, variables)

        def update():
            self.preconditioner.around(apply_slowed, gradients, variables)

        if self.outside:
            update()
            return bad, norms
        withheld = explodes if scales else bad
        _when(~withheld, update)
        self._note(bad, norm)
        return bad, norms

    def around(self, step):
        """A step that is put back if its update is to be dropped.

        Args:
            step: callable `(data) -> (*results, verdict)`, where the verdict is a
                matrix with a row a replica: was there an update, is it to be dropped,
                and the global norm of its gradients.

        Returns:
            callable `(data) -> results`.
        """

        def guarded_step(data):
            held = Held(self._model, self._model.optimizer)
            *results, verdict = step(data)
            bad = tf.reduce_any(verdict[:, 1] > 0)
            norm = tf.cast(verdict[0, 2], tf.float32)
            _when(bad, held.put_back)
            _when(verdict[0, 0] > 0, lambda: self._note(bad, norm))
            return tuple(results)

        return guarded_step

    def _note(self, bad, norm):
        norms = self.norms
        _when(bad, norms.note_dropped, lambda: norms.note_applied(norm))


def _when(condition, effect, otherwise=None):
    """Runs what returns nothing, if the condition holds."""

    def branch(effect):
        def run():
            if effect is not None:
                effect()
            return tf.constant(True)

        return run

    tf.cond(condition, branch(effect), branch(otherwise))


def _raised(gradients, variables, norms, ids):
    wanted = RAISED_TO * tf.sqrt(tf.reduce_max(tf.stack(norms)))
    left = iter(norms)
    raised = []
    for gradient, variable in zip(gradients, variables, strict=True):
        if gradient is not None:
            norm = tf.sqrt(next(left))
            if id(variable) in ids:
                factor = tf.where(norm > 0, tf.maximum(wanted / norm, 1.0), 1.0)
                gradient = scaled(gradient, factor)
        raised.append(gradient)
    return raised
