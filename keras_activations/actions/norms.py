"""What the global norm of a healthy run is, learnt while it trains."""

import math

import tensorflow as tf

WARM_UP = 10  # healthy steps before their norm says what is usual
DECAY = 0.9


class UsualNorm:
    """The mean global norm of the healthy steps, and the limits that follow from it.

    Args:
        exploding: None, or an `ExplodingGradient` rule whose `factor`, `floor` and
            `limit` say which norms are too great.

    Attributes:
        clip: variable, the norm that gradients are clipped to; infinite until an
            update has been dropped.
    """

    def __init__(self, exploding=None):
        self._exploding = exploding
        self.clip = _scalar(math.inf)
        self._exceeded = _scalar(math.inf)
        self._usual = _scalar(0.0)
        self._healthy_steps = _scalar(0.0)

    @property
    def exceeded(self):
        """The limit that held when the last update was dropped, a float."""
        return float(self._exceeded.numpy())

    def clip_from_now_on(self, at_least=0.0, at_most=math.inf):
        """On the host: clips to what has been usual, as after a dropped update.

        Args:
            at_least, at_most: floats; an ill run's usual norm may be far off.
        """
        self.note_dropped()
        self.clip.assign(tf.clip_by_value(self.clip, at_least, at_most))

    def leave_unclipped(self):
        """On the host: what is too great goes on being dropped, and no other is clipped."""
        self.clip.assign(math.inf)

    def learn_anew(self):
        """On the host: what was usual of weights that were changed is so no more."""
        self.clip.assign(math.inf)
        self._usual.assign(0.0)
        self._healthy_steps.assign(0.0)

    # In the graph, or eagerly

    def explodes(self, norm):
        """Whether a finite norm is too great to be applied, a boolean scalar.

        Once gradients are clipped none is: what is clipped does no harm, and a run
        whose every gradient is too great would never learn.
        """
        if self._exploding is None:
            return tf.constant(False)
        return (norm > self._limit()) & tf.math.is_inf(self.clip)

    def scale(self, norm):
        """What to multiply the gradients by."""
        return tf.minimum(1.0, self.clip / norm)

    def note_dropped(self):
        """After an update that was held back."""
        usual = tf.where(self._healthy_steps > 0, self._usual, 1.0)
        if self._exploding is not None:
            first = tf.math.is_inf(self.clip)
            self._exceeded.assign(tf.where(first, self._limit(), self._exceeded))
        self.clip.assign(tf.minimum(self.clip, usual))

    def note_applied(self, norm):
        """After an update that was applied: learns, until gradients are clipped."""
        steps = self._healthy_steps + 1.0
        # The plain mean at first, then an exponential one.
        weight = tf.maximum(1.0 / steps, 1.0 - DECAY)
        learnt = self._usual + weight * (norm - self._usual)
        learns = tf.math.is_finite(learnt) & tf.math.is_inf(self.clip)
        self._usual.assign(tf.where(learns, learnt, self._usual))
        self._healthy_steps.assign(tf.where(learns, steps, self._healthy_steps))

    def _limit(self):
        rule = self._exploding
        usual = tf.maximum(rule.factor * self._usual, rule.floor)
        known = self._healthy_steps >= WARM_UP
        return tf.where(known, tf.minimum(usual, rule.limit), rule.limit)


def _scalar(value):
    return tf.Variable(value, dtype=tf.float32, trainable=False)
