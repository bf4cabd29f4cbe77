"""The sessions of one monitor: one for each phase, one of them at work."""

from typing import Any

from keras_activations.session import Session


class Sessions:
    """Makes sessions, and knows which one is at work.

    Args:
        every, layers, rules, actions: see `Session`.

    Attributes:
        current: the `Session` at work or last at work, None before the first.
    """

    def __init__(self, every, layers, rules, actions):
        self._options = every, layers, rules, actions
        self._sessions: dict[str, Any] = {}
        self.current: Any = None

    @property
    def attached(self):
        """Whether one of them watches a model now."""
        return self.current is not None and self.current.attached

    def attached_to(self, model, *phases):
        """Whether it is this model that is watched, in one of these phases.

        Args:
            model: a `keras.Model`; None stands for any.
            phases: see `Session`.
        """
        own = [self._sessions.get(phase) for phase in phases]
        return (
            self.attached
            and (model is None or self.current.model is model)
            and any(self.current is session for session in own)
        )

    def begin(self, model, optimizer, phase):
        """The `Session` for a run that begins.

        The same model goes on where it was, unless it was compiled anew.
        """
        known = self._sessions.get(phase)
        if known is None or (known.model, known.optimizer) != (model, optimizer):
            known = Session(model, optimizer, *self._options, phase)
            self._sessions[phase] = known
        self.current = known
        return known
