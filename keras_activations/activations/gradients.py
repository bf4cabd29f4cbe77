"""Functions of a tensor that say themselves what is passed back."""

from keras import ops

from keras_activations.activations.casting import dtype_of


def custom_gradient(function):
    """A function of one tensor with a gradient of its own, on every backend.

    Args:
        function: callable `x -> (y, backward)`, where `backward` takes the upstream
            gradient and gives that of `x`. Both are made of differentiable
            operations, so that there are second derivatives.

    Returns:
        A callable `x -> y`.
    """

    def forward(x):
        y, backward = function(x)

        def pass_back(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient by position.
            return backward(args[0] if upstream is None else upstream)

        return y, pass_back

    return ops.custom_gradient(forward)


def keeping_parts(x, formula):
    """A function of a tensor that keeps for the backward pass what its slope needs.

    Args:
        x: float tensor.
        formula: callable `x -> (y, slope)`, where `slope` is a callable without
            arguments that gives the derivative from parts of the formula.

    Returns:
        A tensor of the shape and dtype of `x`.
    """

    @custom_gradient
    def kept(x):
        y, slope = formula(x)
        return y, lambda upstream: upstream * slope()

    return kept(x)


def in_float32(x, formula):
    """A function of a half tensor, computed in float32 and rounded once.

    Only `x` itself is kept for the backward pass, which computes the parts anew:
    one of them in float32 would take twice the memory of `x`.

    Args:
        x: float16 or bfloat16 tensor.
        formula: as in `keeping_parts`, for float32 tensors.

    Returns:
        A tensor of the shape and dtype of `x`.
    """
    dtype = dtype_of(x)

    @custom_gradient
    def rounded(x):
        def backward(upstream):
            _, slope = formula(ops.cast(x, "float32"))
            return ops.cast(ops.cast(upstream, "float32") * slope(), dtype)

        y, _ = formula(ops.cast(x, "float32"))
        return ops.cast(y, dtype), backward

    return rounded(x)
