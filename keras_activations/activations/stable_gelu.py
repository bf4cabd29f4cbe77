"""The layer over `functional.stable_gelu`."""

import keras

from keras_activations.activations import functional


@keras.saving.register_keras_serializable(package="keras_activations")
class StableGELU(keras.layers.Layer):
    """Applies the Gaussian error linear unit, right in its negative tail.

    Formula: `0.5 * x * erfc(-x / sqrt(2))`, or where `approximate`
    `x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x**3))`.

    Args:
        approximate: bool, whether to use the second formula. Defaults to `False`.
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Raises:
        ValueError: if `approximate` is not a bool.

    Reference:

    - [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415)

    Example:

    >>> x = keras.ops.convert_to_tensor([-10.0, -1.0, 1.0])
    >>> [f"{float(v):.4g}" for v in StableGELU()(x)]
    ['-7.62e-23', '-0.1587', '0.8413']
    """

    def __init__(self, approximate=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(approximate, bool):
            raise ValueError(
                "`approximate` must be True or False. "
                f"Received: approximate={approximate!r}"
            )
        self.approximate = approximate
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return functional.stable_gelu(inputs, self.approximate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "approximate": self.approximate}
