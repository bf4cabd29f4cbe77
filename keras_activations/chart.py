"""The chart: what has been found in a run, and what was done about it."""

from typing import Any

from keras_activations.actions.responses import respond

STOP_FLAGS = {"test": "stop_evaluating", "predict": "stop_predicting"}


class Chart:
    """Keeps the findings of one run after another, and has them answered.

    Args:
        journal: the `Journal` that tells of them.
        actions: dict of rule name to action.

    Attributes:
        findings: list of `Finding` of this run, in order.
        stats: dict of layer path to `LayerStats` of the last full window.
        last_step: the last training step that was judged.
    """

    def __init__(self, journal, actions):
        self._journal = journal
        self._actions = actions
        self._session: Any = None
        self.findings: list = []
        self.stats: dict = {}
        self.last_step = 0

    def begin(self, session):
        """A run begins, watched by this session."""
        self._session = session
        self.findings, self.stats = [], {}
        self._journal.begin(session)

    def examine(self, epoch, inputs=None):
        """Judges what was counted since the last time, and does something about it.

        Args:
            epoch: from 0.
            inputs: in a loop by hand, what the model was called with, or None.

        Returns:
            list of the new `Finding`s.
        """
        before = len(self.findings)
        judgement = self._session.examine(epoch)
        self.last_step = self._session.probe.step
        if judgement.window is not None:
            self.stats = judgement.window.layers
        self._journal.write_window(judgement.window, self.last_step)
        self._note(judgement.findings)
        for finding in judgement.findings:
            self._respond(finding, self._actions[finding.rule])
        self.note_treatment(self._session.treat(judgement, inputs))
        return self.findings[before:]

    def note_treatment(self, findings):
        """Notes interventions; each says itself what follows, should it have failed."""
        self._note(findings)
        for finding in findings:
            self._respond(finding, finding.action)

    def _note(self, findings):
        self.findings += findings
        self._journal.tell(findings, self.last_step)

    def _respond(self, finding, action):
        flag = STOP_FLAGS.get(self._session.phase, "stop_training")
        respond(finding, action, self._session.model, flag)
