"""Samples of layer outputs and weights, drawn inside the training step.

All is done to keep the step's graph small, for the sake of the time to the first
step: what is drawn is traced once for all layers of a kind, and what comes of the
sample is worked out after the step, see `counting`. Every function here takes and
returns tensors and compiles under XLA.
"""

import functools
import math

import numpy as np
import tensorflow as tf

SHIFT = (
    0.7548776662466927  # 1 / plastic number: irrational, unrelated to the golden mean
)


def values_wanted(layers, every):
    """Single values drawn from each layer in a sampled step.

    Small layers are seen whole. Many layers share a bounded memory.

    Args:
        layers: number of sampled layers.
        every: training steps between two samples: whoever samples each step has many.
    """
    return max(2**9, min(2**13 * every, 2**14, 2**20 // max(layers, 1)))


def unit_values_wanted(every):
    """Values of each rectified layer looked at for dead units, in whole rows."""
    return min(2**14 * every, 2**17)


def weight_entries(weights):
    """Entries of each of so many weights looked at before and after an update."""
    return max(2**8, min(2**11, 2**17 // max(weights, 1)))


def step_shift(step):
    """The place within the strata of `drawn` at this step."""
    return tf.math.floormod(tf.cast(step, tf.float64) * SHIFT, 1.0)


def drawn(available, wanted, shift):
    """Which of `available` rows are looked at, in order.

    The rows are cut into strata of nearly equal width and one is drawn from each, at
    a place that moves from stratum to stratum and from step to step by irrational
    fractions: no channel, no position and no example is preferred, and none is
    drawn twice. A fixed stride would see the same corner of every image.

    Args:
        available: int64 scalar tensor.
        wanted: Python int >= 1.
        shift: float64 scalar tensor in [0, 1), different at each step.

    Returns:
        int64 tensor of shape `(min(available, wanted),)`.
    """
    number = tf.minimum(available, wanted)
    # In float64: TensorFlow's integer division and its `floormod` take ten times as
    # long. These quotients are exact below 2**53.
    index = tf.cast(tf.range(number + 1), tf.float64)
    spread = index * tf.cast(available, tf.float64)
    edges = tf.floor(spread / tf.cast(tf.maximum(number, 1), tf.float64))
    golden = (math.sqrt(5) - 1) / 2
    place = index[:-1] * golden + shift
    within = tf.floor((place - tf.floor(place)) * (edges[1:] - edges[:-1]))
    return tf.cast(edges[:-1] + within, tf.int64)


def rows(tensor, limit, shift, units=1, mask=None, whole=False):
    """A sample of a layer's output, and which rows of it are no padding.

    Args:
        tensor: floating tensor of any shape, all axes but the last are rows.
        limit: Python int, greatest number of values wanted.
        shift: see `drawn`.
        units: Python int, size of the last axis; 1 looks at single values.
        mask: None, or a boolean tensor over leading axes, False for padding.
        whole: bool, there are no more values than wanted.

    Returns:
        tensor of shape `(rows, units)`, in the tensor's dtype but float32 at least,
        and a boolean tensor of the same shape, or None without a mask.
    """
    matrix = tf.reshape(tensor, [-1, units])
    available = tf.shape(matrix, out_type=tf.int64)[0]
    if whole:
        chosen = tf.range(available)
    else:
        chosen = drawn(available, max(1, limit // units), shift)
        matrix = tf.gather(matrix, chosen)
    if mask is not None:
        # A mask may be over all axes. One that does not fit holds for all, whatever
        # its size, see `padding_mask`.
        entries = chosen[:, None] * units + tf.range(units, dtype=tf.int64)
        positions = tf.size(mask, out_type=tf.int64)
        entries_each = tf.maximum(available * units // tf.maximum(positions, 1), 1)
        place = tf.minimum(entries // entries_each, positions - 1)
        mask = tf.gather(tf.reshape(mask, [-1]), place)
    return at_least_float32(matrix), mask


def values(tensor, mask, shift, wanted, dtype):
    """Single values of one output, shape `(wanted,)`, padded with NaN.

    Args:
        tensor, mask, shift: see `rows`.
        wanted: Python int.
        dtype: what to cast them to.
    """
    return _traced(_values, tensor, shift, mask, wanted, 1, dtype)


def _values(sample, kept, wanted, units, dtype):
    matrix = tf.cast(sample, dtype)
    if kept is not None:
        matrix = tf.where(kept, matrix, tf.cast(math.nan, dtype))
    missing = wanted - tf.size(matrix)
    padded = tf.pad(matrix[:, 0], [[0, missing]], constant_values=math.nan)
    return tf.ensure_shape(padded, [wanted])


def alive_units(tensor, mask, shift, units, floor, wanted):
    """Which units left their floor, a boolean tensor of shape `(units,)`.

    Args:
        tensor, mask, shift, units: see `rows`.
        floor: (low, high), floats: the closed band.
        wanted: Python int, values looked at.
    """
    return _traced(_alive_units, tensor, shift, mask, wanted, units, floor)


def _alive_units(sample, kept, wanted, units, floor):
    middle, reach = (floor[0] + floor[1]) / 2, (floor[1] - floor[0]) / 2
    # One comparison for both ends. NaN is no floor either, but TensorFlow would make
    # `~(a <= b)` into `a > b`.
    alive = tf.where(tf.abs(sample - middle) <= reach, False, True)
    return tf.reduce_any(alive if kept is None else alive & kept, axis=0)


def _traced(look, tensor, shift, mask, wanted, units, option):
    """`look` at a sample of a tensor, traced once for all tensors of a kind."""
    size = tensor.shape.num_elements()
    whole = size is not None and size <= wanted
    masked = mask is not None
    function = _tracing(look, tensor.dtype, masked, whole, wanted, units, option)
    return function(tensor, shift, *([mask] if masked else []))


@functools.cache
def _tracing(look, dtype, masked, whole, wanted, units, option):
    signature = [tf.TensorSpec(None, dtype), tf.TensorSpec([], tf.float64)]
    if masked:
        signature.append(tf.TensorSpec(None, tf.bool))

    def trace(tensor, shift, mask=None):
        sample, kept = rows(tensor, wanted, shift, units, mask, whole)
        return look(sample, kept, wanted, units, option)

    return called_whole(trace, signature)


def called_whole(function, signature=None):
    """A `tf.function` that stays a call in the step's graph, wherever it is called.

    Put in line, each call would be optimised and made ready for itself: with a dozen
    of them that took longer than all the rest of the step. XLA puts them in line.
    """
    traced = tf.function(
        function,
        input_signature=signature,
        autograph=False,
        experimental_attributes={"_noinline": True},
    )
    # Many kinds of layers are no sign of the retracing that TensorFlow warns of.
    traced._omit_frequent_tracing_warning = True
    return traced


def in_one_call(function):
    """A branch of a condition that is one operation, a call of the function.

    Of a branch that is not taken TensorFlow goes through all operations, in every step.
    """
    return function if tf.executing_eagerly() else called_whole(function)


def sampled_weights(variables, wanted, units_of=None):
    """Entries spread over each variable, as one float64 vector.

    The same ones each time: they are compared before and after an update.

    Args:
        variables: list of `keras.Variable`.
        wanted: int, about how many of each; all of a small one.
        units_of: callable `variable -> array or None`, what entries are multiplied by.
    """
    entries = []
    for variable in variables:
        stride = _stride(variable.shape, wanted)
        flat = tf.reshape(tf.convert_to_tensor(variable.value), [-1])[::stride]
        units = units_of(variable) if units_of is not None else None
        if units is not None:
            units = np.broadcast_to(units, variable.shape).ravel()[::stride]
            flat *= tf.constant(units, flat.dtype)
        entries.append(flat)
    if len({entry.dtype for entry in entries}) > 1:
        entries = [tf.cast(entry, tf.float64) for entry in entries]
    return tf.cast(tf.concat(entries, axis=0), tf.float64)


def sampled_weight_sizes(variables, wanted):
    """How many entries of each variable `sampled_weights` looks at."""
    return [-(-math.prod(v.shape) // _stride(v.shape, wanted)) for v in variables]


def _stride(shape, wanted):
    size = math.prod(shape)
    # One that shares a factor with an axis sees some of its places only, and one next
    # to the width of a square matrix its diagonal.
    about = max(1, int(0.618 * size / wanted))
    nearby = (s for step in range(size) for s in (about + step, about - step) if s > 0)
    return next(s for s in nearby if math.gcd(s, size) == 1)


def at_least_float32(tensor):
    """The tensor, in float32 where it is narrower."""
    return tf.cast(tensor, tf.float32) if tensor.dtype.size < 4 else tensor
