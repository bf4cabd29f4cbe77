"""Where measurements and findings are written: TensorBoard and a text report."""

from keras_activations.writers.markdown import RunDescription
from keras_activations.writers.report import print_report, render_report
from keras_activations.writers.tensorboard import TensorBoardWriter, check_log_dir

__all__ = [
    "RunDescription",
    "TensorBoardWriter",
    "check_log_dir",
    "print_report",
    "render_report",
]
