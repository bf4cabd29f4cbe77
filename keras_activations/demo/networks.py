"""The networks of the demo: one with every layer of this package, one with a root."""

import keras

import keras_activations as ka


def build_reader(name, tanh_kernel="glorot_uniform"):
    """A network with the four layers of this package.

    Args:
        name: the model's name; the `path` of its layers begins with it.
        tanh_kernel: what the weights before each `ClippedTanh` start from.

    Returns:
        `keras.Sequential`, 64 grey values to 10 logits.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, kernel_initializer=tanh_kernel, name="dense_1"),
            ka.ClippedTanh(name="tanh_1"),
            keras.layers.Dense(64, kernel_initializer=tanh_kernel, name="dense_2"),
            ka.ClippedTanh(name="tanh_2"),
            keras.layers.Dense(64, name="dense_3"),
            ka.HardSwish(name="hard_swish"),
            keras.layers.Dense(64, name="dense_4"),
            ka.ReLU6(name="relu6"),
            keras.layers.Dense(64, name="dense_5"),
            ka.StableGELU(name="gelu"),
            keras.layers.Dense(10, name="digit"),
        ],
        name=name,
    )


def careful_root(x):
    """The square root where `x` is positive, else 0; its gradient at 0 is NaN.

    `where` chooses a value, but the gradient is that of both sides: to the side not
    chosen it hands 0, and that times the infinite slope of the root at 0 is NaN.
    (TensorFlow's own `sqrt` makes an exception for 0 times infinity.)
    """
    return keras.ops.where(x > 0, x**0.5, 0.0)


def build_rooted():
    """A network with a square root after a ReLU.

    Returns:
        `keras.Sequential`, 64 grey values to 10 logits.
    """
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, name="dense"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Activation(careful_root, name="square_root"),
            keras.layers.Dense(10, name="digit"),
        ],
        name="nan_gradient",
    )
