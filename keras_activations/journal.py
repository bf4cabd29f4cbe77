"""The journal: what a monitor tells of a run, on the screen and in TensorBoard."""

import os
from typing import Any

import keras
import tensorflow as tf

from keras_activations._version import __version__
from keras_activations.actions.responses import action_name
from keras_activations.writers import RunDescription, TensorBoardWriter, print_report

INFERENCE_RUNS = {"test": "evaluate", "predict": "predict"}


class Journal:
    """Tells of one run after another.

    Args:
        log_dir: directory for TensorBoard, or None.
        rules: list of rule objects.
        actions: dict of rule name to action.
        metadata: dict of str, written beside the logs.
        verbose: 0 or 1, print findings and a closing table.
    """

    def __init__(self, log_dir, rules, actions, metadata, verbose):
        self._log_dir = log_dir
        self._rules = rules
        self._actions = actions
        self._metadata = metadata
        self._verbose = verbose
        self._session: Any = None
        self._writer: Any = None
        self._writers: dict[str, Any] = {}
        self._described = False

    def begin(self, session):
        """A run begins, watched by this session."""
        self._session = session
        self._writer = self._writer_of(session.phase)
        self._described = False

    def write_window(self, window, step):
        """Logs a window, or None, that ended with this step."""
        if self._writer is None:
            return
        self._describe(step)
        if window is not None:
            self._writer.write_window(window)

    def tell(self, findings, step):
        """Logs findings, and prints them unless they are to be ignored."""
        if self._writer is not None and findings:
            self._describe(step)
            self._writer.write_findings(findings)
        for finding in findings:
            if self._speaks and finding.action != "ignore":
                print(f"\nActivationMonitor ({finding.action}): {finding}")

    def print_report(self, stats, findings):
        """The closing table."""
        if self._speaks:
            print_report(stats, findings)

    def close(self):
        """Closes the log file; it opens again when something is written."""
        if self._writer is not None:
            self._writer.close()

    @property
    def _speaks(self):
        return self._verbose and self._session.in_charge

    def _writer_of(self, phase):
        if self._log_dir is None or not self._session.in_charge:
            return None
        if phase not in self._writers:
            run = INFERENCE_RUNS.get(phase, "")
            self._writers[phase] = TensorBoardWriter(os.path.join(self._log_dir, run))
        return self._writers[phase]

    def _describe(self, step):
        if not self._described:
            self._writer.write_description(self._description(), step=step)
            self._described = True

    def _description(self):
        layers = [
            (entry.path, entry.activation)
            for bank in self._session.probe.banks.values()
            for entry in bank.layout.sampled
        ]
        rules = [
            (rule.name, action_name(self._actions[rule.name]), rule.thresholds())
            for rule in self._rules
        ]
        versions = {
            "keras_activations": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }
        return RunDescription(layers, rules, versions, self._metadata)
