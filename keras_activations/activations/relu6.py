"""The rectified linear unit that ends at 6."""

import keras
from keras import ops

from keras_activations.activations.casting import as_float


@keras.saving.register_keras_serializable(package="keras_activations")
def relu6(x):
    """Rectified linear unit that ends at 6.

    Formula: `min(max(x, 0), 6)`; the gradient at 0 and at 6 is 0. Exact in every
    type, but for the sign of a zero: as in TensorFlow itself, that of `-0.0` is open.

    Args:
        x: float tensor of any shape.

    Returns:
        A tensor of the shape and dtype of `x`, in [0, 6].

    Reference:

    - [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)

    Example:

    >>> [float(v) for v in relu6([-1.0, 2.5, 7.0])]
    [0.0, 2.5, 6.0]
    """
    if isinstance(x, keras.KerasTensor):
        return ReLU6()(x)
    return ops.relu6(as_float(x))


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
        return relu6(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape
