"""`tf.debugging.enable_check_numerics`, which ends the run with an error."""

import re

import tensorflow as tf

from benchmarks.faults.records import Alarm


class CheckNumerics:
    """The alarms of a run under the checks, inside which it must be traced.

    They cannot look on beside the monitor: they change what is traced, and end the
    run at the first value that is not finite.

    Attributes:
        alarms: list of `Alarm`.
    """

    name = "check_numerics"

    def __init__(self):
        self.alarms = []

    def fit(self, fit, truth):
        """Calls `fit`, and notes the error of the checks.

        Args:
            fit: callable.
            truth: a `Truth`, which knows the steps done until then.
        """
        tf.debugging.enable_check_numerics()
        try:
            fit()
        except tf.errors.InvalidArgumentError as error:
            where = re.search(r"(\S+)/CheckNumericsV2", str(error))
            if where is None:
                raise  # not one of theirs
            text = where[1]
            self.alarms.append(Alarm(truth.step + 1, "nonfinite", text=text))
        finally:
            tf.debugging.disable_check_numerics()
