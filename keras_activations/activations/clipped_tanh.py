"""The layer over `functional.clipped_tanh`."""

import keras

from keras_activations.activations import functional


@keras.saving.register_keras_serializable(package="keras_activations")
class ClippedTanh(keras.layers.Layer):
    """Applies the hyperbolic tangent to an input clipped to `[-limit, limit]`.

    Formula: `tanh(clip(x, -limit, limit))`

    The output stays strictly inside (-1, 1) and the layer can leave saturation
    when the gradient is let through at the limit.

    Args:
        limit: float, positive, finite and so small that its tanh stays below 1
            in the dtype the layer computes in: at most 3.11 for bfloat16, 4.15
            for float16, 7.62 for float32, 17.67 for float64. Defaults to `3.0`.
        outside_gradient: `"zero"`, `"inward"` or `"straight_through"`: what is
            passed back to an input beyond the limit, see
            `functional.clipped_tanh`. Defaults to `"zero"`.
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Raises:
        ValueError: if `limit` or `outside_gradient` is not as above.

    Reference:

    - [Bengio et al., 2013](https://arxiv.org/abs/1308.3432), straight-through

    Example:

    >>> layer = ClippedTanh(outside_gradient="inward")
    >>> x = keras.ops.convert_to_tensor([-100.0, 0.0, 100.0])
    >>> [round(float(v), 5) for v in layer(x)]
    [-0.99505, 0.0, 0.99505]
    """

    def __init__(self, limit=3.0, outside_gradient="zero", **kwargs):
        super().__init__(**kwargs)
        functional.check_clip(limit, outside_gradient)
        functional.check_limit(limit, self.compute_dtype)
        self.limit = float(limit)
        self.outside_gradient = outside_gradient
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return functional.clipped_tanh(inputs, self.limit, self.outside_gradient)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"limit": self.limit, "outside_gradient": self.outside_gradient}
        return {**super().get_config(), **config}
