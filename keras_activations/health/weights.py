"""How large weights and their updates are beside what the usual initialisers give."""

import functools
import math

# Of embeddings each row is used alone, so that no fan-in says what is usual; what is
# learnt for each position is added.
_NO_KERNELS = ("bias", "embedding", "gamma", "beta", "table", "position")

# Fewer entries and inputs are on one side of 0 by chance.
ENTRIES, INPUTS = 64, 4
ALIKE = 0.5  # mean of a kernel over its root mean square: initialisers give about 0


def is_kernel(weight):
    """Whether a weight multiplies what comes in: not a bias, a gain or a table.

    Args:
        weight: a `WeightStats`.
    """
    return _multiplies(weight.path, weight.shape)


@functools.lru_cache(maxsize=4096)  # each window asks for each weight many times
def _multiplies(path, shape):
    name = path.rsplit("/", 1)[-1]
    return len(shape) > 1 and not any(part in name for part in _NO_KERNELS)


def kernels(stats):
    """The weights of a layer that are kernels, as a list of `WeightStats`."""
    # One without entries, of a layer without inputs or units, says nothing.
    return [w for w in stats.weights if is_kernel(w) and 0 not in w.shape]


def tables(stats):
    """The weights of a layer that are embeddings."""
    return [w for w in stats.weights if w.path.endswith("/embeddings")]


def biases(stats):
    """The vectors of a layer that also has a kernel: its biases.

    A GRU has two of them in one weight.
    """
    if not kernels(stats):
        return []
    return [w for w in stats.weights if len(w.shape) == 1 or w.path.endswith("bias")]


def fan_in(weight):
    """How many inputs a unit adds up.

    Example:

    >>> from keras_activations.telemetry.stats import WeightStats
    >>> fan_in(WeightStats("conv/kernel", shape=(3, 3, 16, 32)))
    144
    """
    shape = weight.shape
    if weight.path.endswith("depthwise_kernel"):
        return math.prod(shape[:-2])
    # (model, heads, head) of an attention, where Conv1D has (short kernel, in, out).
    if len(shape) == 3 and shape[0] > shape[1]:
        return shape[0]
    return math.prod(shape[:-1])


def rms(weight):
    """Root mean square of what is learnt, after the window's last sample, or None."""
    if weight.weight_norm is None or not weight.shape:
        return None
    entries = max(math.prod(weight.shape), 1)
    return weight.unit * weight.weight_norm / math.sqrt(entries)


def rms_before(weight):
    """The same before the last sampled update, taken to stand at right angles."""
    after = rms(weight)
    if after is None or weight.update_ratio is None:
        return after
    return after / math.hypot(1.0, weight.update_ratio)


def excess(weight):
    """Size before the last update, in units of He's initialiser, the largest usual one.

    `rms * sqrt(fan_in / 2)`: at 1, a ReLU layer hands on the scale that comes in.
    None where it is not known.

    Example:

    >>> from keras_activations.telemetry.stats import WeightStats
    >>> excess(WeightStats("kernel", weight_norm=80.0, shape=(50, 50)))
    8.0
    """
    size = rms_before(weight)
    return None if size is None else size * math.sqrt(fan_in(weight) / 2)


def lack(weight):
    """Glorot's initialiser, the smallest usual one, in units of the size before the
    last update: above 1 the weight is smaller than usual. None where not known."""
    size = rms_before(weight)
    if size is None:
        return None
    receptive = math.prod(weight.shape[:-2])
    fans = (weight.shape[-2] + weight.shape[-1]) * receptive
    return math.sqrt(2 / fans) / size if size > 0 else math.inf


def alike(weight):
    """How alike the entries of a kernel were before the last update, from 0 to 1.

    See `WeightStats.mean_ratio`. None for a kernel so small that it may be chance.
    """
    if math.prod(weight.shape) < ENTRIES or fan_in(weight) < INPUTS:
        return None
    return weight.mean_ratio


def stride(weight):
    """Size of the last sampled update, in units of He's initialiser.

    At 1, a single update changes what the layer computes as much as to draw its
    weights anew would. None where it is not known.
    """
    size = excess(weight)
    if size is None or weight.update_ratio is None:
        return None
    return size * weight.update_ratio


def longest_stride(stats):
    """The greatest `stride` of a layer's kernels; 0 where none is known."""
    strides = [stride(weight) for weight in kernels(stats)]
    return max((s for s in strides if s is not None and s < math.inf), default=0.0)


def lasting(momentum):
    """How many times as far it drives a weight as the usual one, of 0.9 at most."""
    return max(0.1 / max(1.0 - momentum, 1e-3), 1.0)


def arriving(stats):
    """Root mean square of what comes into a layer, as its gradients tell, or None.

    The gradient of a kernel is the input times that of the bias, summed over the
    batch: their norms differ by the input's norm.
    """
    own, bias = kernels(stats), biases(stats)
    # A recurrent layer also has one for what it put out itself.
    own = [w for w in own if not w.path.endswith("recurrent_kernel")]
    if len(own) != 1 or len(bias) != 1:
        return None
    norms = own[0].gradient_norm, bias[0].gradient_norm
    # A bias before a normalisation gets a gradient of rounding errors only.
    if None in norms or not norms[1] > 1e-6 * norms[0] or math.isinf(norms[0]):
        return None
    return norms[0] / norms[1] / math.sqrt(fan_in(own[0]))
