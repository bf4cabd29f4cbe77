"""What the functions take for a float tensor."""

import keras
from keras import ops


def as_float(x):
    """The tensor of `x`: of its own dtype if that is a float, else of `floatx()`."""
    x = ops.convert_to_tensor(x)
    if keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        return x
    return ops.cast(x, keras.config.floatx())
