"""The layer over `functional.relu6`."""

import keras

from keras_activations.activations import functional


@keras.saving.register_keras_serializable(package="keras_activations")
class ReLU6(keras.layers.Layer):
    """Applies the rectified linear unit that ends at 6.

    Formula: `min(max(x, 0), 6)`; the gradient at 0 and at 6 is 0.

    Args:
        **kwargs: base layer keyword arguments, such as `name` and `dtype`.

    Input and output have the same shape.

    Reference:

    - [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)

    Example:

    >>> x = keras.ops.convert_to_tensor([-1.0, 2.5, 7.0])
    >>> [float(v) for v in ReLU6()(x)]
    [0.0, 2.5, 6.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        # Not built here, as Keras's own do: building gives the layer its `path`.

    def call(self, inputs):
        return functional.relu6(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape
