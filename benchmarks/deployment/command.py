"""The command `python -m benchmarks deployment`."""

import pathlib
import tempfile
import warnings

import numpy as np
import tensorflow as tf

from benchmarks import environment
from benchmarks.deployment import models
from benchmarks.deployment.lite import Lite

SUMMARY = "what the layers become in TensorFlow Lite, SavedModel and ONNX"
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "deployment.md"
DESCRIPTION = f"""\
Converts a model of each layer alone, runs it, and prints as Markdown how far the outputs are
off. {RESULTS.relative_to(RESULTS.parents[2])} is written."""
HEAD = """\
# Deployment

Each layer alone in a model, converted, and run on {count} rows of {features} inputs of deviation 3.
The largest differences to what Keras computes: TensorFlow Lite in float, reloaded SavedModel
and onnxruntime absolutely; full int8 in quantisation steps of the output, on the inputs as int8
rounds them. Written by `python -m benchmarks deployment`.

{environment}

| layer | TensorFlow Lite | float | int8, steps | SavedModel | ONNX |
|---|---|---|---|---|---|
"""


def add_arguments(parser):
    parser.add_argument("--layers", nargs="+", choices=models.LAYERS)
    parser.add_argument("--write", type=pathlib.Path, metavar="PATH")


def run(options):
    """Measures, prints and perhaps writes.

    Args:
        options: what `add_arguments` describes.
    """
    path = options.write or (None if options.layers else RESULTS)
    text = HEAD.format(
        count=256, features=models.FEATURES, environment=environment.describe()
    )
    for name in options.layers or models.LAYERS:
        text += _row(name) + "\n"
    print(text)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _row(name):
    make, operations = models.LAYERS[name]
    model = models.alone(make())
    x = models.samples(model)
    expected = model.predict(x, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter moved to another package
        plain = Lite.convert(model)
        became = " ".join(sorted(plain.operations()))
        cells = [f"`{name}`", became, _difference(plain.run(x), expected)]
        cells.append(_steps(model, x) if operations else "does not convert")
    cells.append(_difference(saved(model, x), expected))
    cells.append(_difference(onnx(model, x), expected))
    return f"| {' | '.join(cells)} |"


def _steps(model, x):
    whole = Lite.convert(model, x)
    expected = model.predict(whole.rounded(x), verbose=0)
    return f"{np.max(np.abs(whole.run(x) - expected)) / whole.step:.2f}"


def saved(model, x):
    """Outputs of the model exported as a SavedModel and reloaded."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        loaded = tf.saved_model.load(folder)
        return loaded.serve(x).numpy()


def onnx(model, x):
    """Outputs of the model exported to ONNX, in onnxruntime."""
    import onnxruntime  # the other subjects do without

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras looks for `np.object` to make tf2onnx work with NumPy 2.
        warnings.simplefilter("ignore", FutureWarning)
        path = str(pathlib.Path(folder) / "model.onnx")
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path)
        (outputs,) = session.run(None, {session.get_inputs()[0].name: x})
    return outputs


def _difference(found, expected):
    return f"{np.max(np.abs(found - expected)):.0e}"
