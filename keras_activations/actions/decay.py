"""Decay: what shrinks weights whatever they are good for, limited while a step is traced.

Weight decay and penalties on the size of weights pull them to 0 in every step. Where
they pull harder than what is learnt can hold, all weights are lost, however they start.
"""

import contextlib
import numbers

from keras.regularizers import L1, L1L2, L2

from keras_activations.actions.slots import inner_optimizer

# What `keras.optimizers.AdamW` has unless it is told otherwise.
GREATEST_DECAY = 0.004
# Of the L1 and L2 penalties that are in use the greater ones.
GREATEST_PENALTY = {"l1": 1e-5, "l2": 1e-4}


class DecayLimit:
    """A limit on the weight decay and the penalties of one model in training.

    Args:
        model: a `keras.Model`.
        optimizer: its optimizer, or None.
    """

    def __init__(self, model, optimizer):
        self._model = model
        self._optimizer = optimizer
        self._limited = False

    def limit(self):
        """Limits them from the next tracing on.

        Returns:
            list of str, what is limited; empty where nothing is above the limits.
        """
        found = self._above()
        self._limited = self._limited or bool(found)
        return sorted({text for *_, text in found})

    @contextlib.contextmanager
    def in_place(self):
        """While it is open, they are limited, once `limit` was called."""
        replaced = []
        try:
            for own, name, greatest, _ in self._above() if self._limited else ():
                replaced.append((own, name, own[name]))
                # Straight into __dict__: Keras tracks attributes that are set otherwise.
                own[name] = greatest
            yield
        finally:
            for own, name, value in replaced:
                own[name] = value

    def _above(self):
        """Attributes, name, limit and a text of each that is above its limit."""
        found = []
        own = vars(inner_optimizer(self._optimizer))
        decay = own.get("weight_decay")
        if isinstance(decay, numbers.Real) and float(decay) > GREATEST_DECAY:
            text = f"the weight decay to {GREATEST_DECAY:g}"
            found.append((own, "weight_decay", GREATEST_DECAY, text))
        penalties = [v.regularizer for v in self._model.trainable_variables]
        # Of the user's own nobody knows what its attributes are.
        known = {id(p): vars(p) for p in penalties if isinstance(p, (L1, L2, L1L2))}
        for own in known.values():
            for name, greatest in GREATEST_PENALTY.items():
                if float(own.get(name, 0.0)) > greatest:
                    text = f"{name.upper()} penalties to {greatest:g}"
                    found.append((own, name, greatest, text))
        return found
