"""What the functions take for a float tensor, and how wide they compute."""

import keras
from keras import ops


def as_float(x):
    """The tensor of `x`: of its own dtype if that is a float, else of `floatx()`."""
    x = ops.convert_to_tensor(x)
    if keras.backend.is_float_dtype(dtype_of(x)):
        return x
    return ops.cast(x, keras.config.floatx())


def dtype_of(x):
    """The name of a tensor's dtype, on every backend."""
    return keras.backend.standardize_dtype(x.dtype)


def is_half(x):
    """Whether a tensor has so few digits that it is computed in float32."""
    return dtype_of(x) in ("float16", "bfloat16")
