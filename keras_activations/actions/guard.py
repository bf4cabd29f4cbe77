"""The guard: holds back a bad update, whole, inside the training step."""

import math

import tensorflow as tf

WARM_UP = 10  # healthy steps before their norm says what is usual
DECAY = 0.9


class UpdateGuard:
    """Drops updates that would do harm, and clips those that follow.

    An update is bad when its gradients are not finite or, with `exploding`, when
    their global norm leaps above what the run has shown. A bad update leaves weights,
    moving statistics, optimizer slots and iterations as they were. From the first one
    on, gradients are clipped to the mean global norm of the healthy steps before it.
    Until then they are not touched.

    Args:
        model: the `keras.Model` that is trained.
        nonfinite: bool, hold back updates that are not finite.
        exploding: None, or an `ExplodingGradient` rule whose `factor`, `floor` and
            `limit` say which finite updates to hold back.
    """

    def __init__(self, model, nonfinite=True, exploding=None):
        self._model = model
        self._nonfinite = nonfinite
        self._exploding = exploding
        self._averages = []
        self._metrics = []
        self.clip_norm = _scalar(math.inf)
        self._exceeded = _scalar(math.inf)
        self._usual_norm = _scalar(0.0)
        self._healthy_steps = _scalar(0.0)

    @property
    def exceeded(self):
        """The limit that held when the last update was dropped, a float."""
        return float(self._exceeded.numpy())

    def before_step(self):
        """Remembers the state that a step changes beside the trainable weights.

        The tensors share the variables' memory until these are assigned to.
        """
        model = self._model
        self._averages = [_with_value(v) for v in model.non_trainable_weights]
        self._metrics = [_with_value(v) for v in model.metrics_variables]

    def after_step(self, dropped):
        """Puts that state back where the update was dropped.

        Metrics count the step all the same unless it would leave NaN in them, to be
        seen for the rest of the epoch.
        """

        def restore():
            for variable, value in self._averages:
                variable.assign(value)
            for variable, value in self._metrics:
                variable.assign(_finite_or(value, variable))
            return tf.constant(True)

        tf.cond(dropped, restore, lambda: tf.constant(False))
        self._averages, self._metrics = [], []

    def apply(self, apply, gradients, variables, squares, loss):
        """Applies an update, or drops it.

        Args:
            apply: callable `(gradients, variables)`, the optimizer's own.
            gradients: list of tensors, `tf.IndexedSlices` or None.
            variables: the variables they belong to.
            squares: squared L2 norms of the gradients that are not None.
            loss: the loss, a scalar, or None.

        Returns:
            boolean scalar: was the update dropped?
        """
        norm = tf.sqrt(tf.add_n(squares))
        finite = tf.math.is_finite(norm)
        if loss is not None:
            finite &= tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(loss)))
        bad = tf.logical_not(finite) if self._nonfinite else tf.constant(False)
        if self._exploding is not None:
            bad |= finite & (norm > self._limit())
        scale = tf.minimum(1.0, self.clip_norm / norm)
        clipped = [_scaled(gradient, scale) for gradient in gradients]

        def drop():
            usual = tf.where(self._healthy_steps > 0, self._usual_norm, 1.0)
            self.clip_norm.assign(tf.minimum(self.clip_norm, usual))
            if self._exploding is not None:
                self._exceeded.assign(self._limit())
            return tf.constant(True)

        def keep():
            self._learn(norm)
            apply(clipped, variables)
            return tf.constant(False)

        return tf.cond(bad, drop, keep)

    def _limit(self):
        rule = self._exploding
        usual = tf.maximum(rule.factor * self._usual_norm, rule.floor)
        known = self._healthy_steps >= WARM_UP
        return tf.where(known, tf.minimum(usual, rule.limit), rule.limit)

    def _learn(self, norm):
        steps = self._healthy_steps.assign_add(1.0)
        # The plain mean at first, then an exponential one.
        weight = tf.maximum(1.0 / steps, 1.0 - DECAY)
        learnt = self._usual_norm + weight * (norm - self._usual_norm)
        finite = tf.math.is_finite(learnt)
        self._usual_norm.assign(tf.where(finite, learnt, self._usual_norm))


def _scaled(gradient, scale):
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values * tf.cast(scale, gradient.values.dtype)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(scale, gradient.dtype)


def _with_value(variable):
    return variable.value, tf.identity(variable.value)


def _finite_or(value, variable):
    if not variable.dtype.is_floating:
        return variable
    return tf.where(tf.reduce_all(tf.math.is_finite(variable)), variable, value)


def _scalar(value):
    return tf.Variable(value, dtype=tf.float32, trainable=False)
