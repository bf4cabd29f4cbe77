"""The layer over `functional.hard_swish`."""

import keras

from keras_activations.activations import functional


@keras.saving.register_keras_serializable(package="keras_activations")
class HardSwish(keras.layers.Layer):
    """Applies the piecewise quadratic form of swish.

    Formula: `x * (relu6(x + 3) / 6)`; `-inf` gives NaN, no finite input does.

    Args:
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Reference:

    - [Howard et al., 2019](https://arxiv.org/abs/1905.02244)

    Example:

    >>> x = keras.ops.convert_to_tensor([-1.5, 1.5, 4.0])
    >>> [round(float(v), 4) for v in HardSwish()(x)]
    [-0.375, 1.125, 4.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return functional.hard_swish(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape
