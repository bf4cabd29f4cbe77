"""The complementary error function for tf2onnx, by which Keras exports to ONNX.

ONNX has no Erfc, and tf2onnx no conversion of it: without one, the file that
`model.export(..., format="onnx")` writes of an exact GELU, ours or TensorFlow's, cannot be
loaded. `0.5 * x * (1 + erf(x))`, which it could convert, has no digits left in the tail.
"""

import importlib.abc
import importlib.util
import sys

import numpy as np

# Chebyshev interpolation of log(erfc(z) / t) + z**2 in t = 2 / (2 + z), for z from
# 0 to infinity, by mpmath: relative error of erfc below 1.1e-7. Constant first.
SERIES = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.0967841895,
    -0.186288062,
    0.278868084,
    -1.135204,
    1.48851589,
    -0.822152234,
    0.170872778,
)


class Erfc:
    """Converts an Erfc node, as tf2onnx's handlers do: the version is that of ONNX."""

    @classmethod
    def version_9(cls, graph, node, **_):
        def number(value):
            kind = graph.get_dtype(node.input[0])
            array = np.array(value, utils.map_onnx_to_numpy_type(kind))
            return graph.make_const(utils.make_name("erfc"), array).output[0]

        def apply(operation, *inputs):
            return graph.make_node(operation, list(inputs)).output[0]

        from tf2onnx import utils

        z = node.input[0]
        size = apply("Abs", z)
        t = apply("Div", number(2.0), apply("Add", number(2.0), size))
        series = number(SERIES[-1])
        for coefficient in reversed(SERIES[:-1]):
            series = apply("Add", number(coefficient), apply("Mul", t, series))
        exponent = apply("Sub", series, apply("Mul", size, size))
        right = apply("Mul", t, apply("Exp", exponent))
        left = apply("Sub", number(2.0), right)
        erfc = apply("Where", apply("Less", z, number(0.0)), left, right)
        graph.copy_dtype(node.output[0], erfc)
        graph.copy_shape(node.output[0], erfc)
        graph.replace_all_inputs(node.output[0], erfc)
        graph.remove_node(node.name)


class _Teacher(importlib.abc.MetaPathFinder):
    """Has tf2onnx learn Erfc if and when somebody imports it; it is no small import."""

    def find_spec(self, name, path=None, target=None):
        if name != "tf2onnx":
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        if found is not None and found.loader is not None:
            found.loader = _ThenTeach(found.loader)
        return found


class _ThenTeach(importlib.abc.Loader):
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        _teach()


def _teach():
    from tf2onnx.handler import tf_op

    known = any("Erfc" in handlers for handlers in tf_op.get_opsets().get("", []))
    if not known:  # some day it will be
        tf_op("Erfc")(Erfc)


def teach_tf2onnx():
    """Adds Erfc to what tf2onnx converts, now or when it is imported."""
    if "tf2onnx" in sys.modules:
        _teach()
    elif not any(isinstance(finder, _Teacher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Teacher())
