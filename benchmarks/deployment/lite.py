"""Models converted to TensorFlow Lite, and run there."""

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Lite:
    """A converted model as its interpreter sees it.

    Attributes:
        content: bytes of the file.
        step: quantisation step of the output; 0 for a float model.
    """

    content: bytes
    step: float

    @classmethod
    def convert(cls, model, representative=None):
        """Converts a Keras model; to full int8 where samples are given."""
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if representative is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [sample[None]] for sample in representative
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
        content = converter.convert()
        output = tf.lite.Interpreter(model_content=content).get_output_details()[0]
        return cls(content, float(output["quantization"][0]))

    def operations(self):
        """Set of names; what an operation was fused into does not appear."""
        details = self._interpreter()._get_ops_details()
        return {operation["op_name"] for operation in details} - {"DELEGATE"}

    def kinds(self):
        """Set of names of the dtypes of all tensors but shapes."""
        details = self._interpreter().get_tensor_details()
        return {np.dtype(tensor["dtype"]).name for tensor in details}

    def run(self, x):
        """Outputs for float inputs, as floats."""
        interpreter = self._interpreter(len(x))
        given = interpreter.get_input_details()[0]
        found = interpreter.get_output_details()[0]
        interpreter.set_tensor(given["index"], _quantise(x, given))
        interpreter.invoke()
        return _dequantise(interpreter.get_tensor(found["index"]), found)

    def rounded(self, x):
        """Inputs as the model sees them, quantised and back."""
        given = self._interpreter().get_input_details()[0]
        return _dequantise(_quantise(x, given), given)

    def _interpreter(self, batch=1):
        interpreter = tf.lite.Interpreter(model_content=self.content)
        given = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(given["index"], [batch, *given["shape"][1:]])
        interpreter.allocate_tensors()
        return interpreter


def _quantise(x, details):
    step, zero = details["quantization"]
    if not step:
        return x
    return np.clip(np.round(x / step + zero), -128, 127).astype("int8")


def _dequantise(x, details):
    step, zero = details["quantization"]
    return (x.astype("float32") - zero) * step if step else x
