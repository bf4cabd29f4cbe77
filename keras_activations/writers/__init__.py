"""Where measurements and findings are written: TensorBoard and a text report."""

from keras_activations.writers.markdown import RunDescription, check_metadata
from keras_activations.writers.report import print_report, render_report
from keras_activations.writers.tensorboard import TensorBoardWriter, check_log_dir

__all__ = [
    "RunDescription",
    "TensorBoardWriter",
    "check_log_dir",
    "check_metadata",
    "print_report",
    "render_report",
]
