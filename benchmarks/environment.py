"""Where and when something was measured."""

import datetime
import os
import pathlib
import platform
import re

import keras
import tensorflow as tf

from keras_activations._version import __version__


def describe():
    """Date, processor and versions as a Markdown list."""
    return f"""\
- {datetime.date.today()}, {os.cpu_count()} cores of {_processor()}
- keras_activations {__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__},
  Python {platform.python_version()}"""


def _processor():
    """The processor's name, as well as the system knows it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        text = ""
    named = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()
