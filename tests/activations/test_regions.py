"""Every row of the table against a numeric derivative of the real function."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_activations import activations
from keras_activations.activations import activation_of, functional, region_of
from keras_activations.activations.regions import rows

PUBLIC = sorted(set(dir(keras.activations)) - {"deserialize", "get", "serialize"})
FUNCTIONS = {n: getattr(keras.activations, n) for n in PUBLIC if not n.startswith("_")}
ACROSS = ("glu", "log_softmax", "softmax", "sparsemax")
partial = functools.partial


def elementwise():
    for name, function in FUNCTIONS.items():
        if name not in ACROSS + ("threshold",):
            yield name, function
    k = keras.activations
    yield "threshold bound", partial(k.threshold, threshold=0.5, default_value=-0.3)
    yield "relu max", partial(k.relu, max_value=2.5)
    yield "relu max 0.1", partial(k.relu, max_value=0.1)
    yield "relu threshold", partial(k.relu, threshold=1.5)
    yield "relu slope", partial(k.relu, negative_slope=0.1, max_value=3.0)
    yield "leaky_relu bound", partial(k.leaky_relu, negative_slope=0.01)
    yield "elu 0.5", partial(k.elu, alpha=0.5)
    yield "elu 2", partial(k.elu, alpha=2.0)
    yield "celu 2", partial(k.celu, alpha=2.0)
    yield "squareplus 1", partial(k.squareplus, b=1)
    yield "gelu approximate", partial(k.gelu, approximate=True)
    yield "shrink 1", partial(k.soft_shrink, threshold=1.0)
    yield "our clipped_tanh", functional.clipped_tanh
    yield "our clipped_tanh 2", partial(functional.clipped_tanh, limit=2.0)
    yield "our clipped_tanh 0.5", partial(functional.clipped_tanh, limit=0.5)
    yield "our relu6", functional.relu6
    yield "our hard_swish", functional.hard_swish
    yield "our stable_gelu", functional.stable_gelu
    yield "our stable_gelu 2", partial(functional.stable_gelu, approximate=True)


ELEMENTWISE = dict(elementwise())
each_elementwise = pytest.mark.parametrize("name", ELEMENTWISE)


class Numeric:
    """Range, flat sides and floor of a function, measured in float64."""

    def __init__(self, function):
        def evaluate(x):
            return function(tf.constant(x, "float64")).numpy()

        # Off the multiples of 0.1, where kinks are.
        self.x = np.arange(-60_000, 60_000) / 1000 + 0.0005
        h = 1e-5
        self.y = evaluate(self.x)
        slope = np.abs(evaluate(self.x + h) - evaluate(self.x - h)) / (2 * h)
        self.flat = slope < 0.04 * slope.max()
        far = evaluate(np.array([-1e8, -1e7, 1e7, 1e8]))
        self.far_below = far[0]
        self.bounded_below = bool(np.isclose(far[0], far[1], rtol=0, atol=1e-3))
        rising = np.isinf(far[2]) or not np.isclose(far[2], far[3], rtol=0, atol=1e-3)
        self.bounded_above = not rising
        self.lower = min(far.min(), self.y.min())
        self.upper = max(far.max(), self.y.max())
        self.first = int(np.argmin(self.flat))  # first input with slope
        self.last = len(self.x) - 1 - int(np.argmin(self.flat[::-1]))


@functools.cache
def measured(name):
    return Numeric(ELEMENTWISE[name])


def test_every_public_activation_has_a_row():
    for name, function in FUNCTIONS.items():
        if name != "threshold":  # has no meaning without its keywords
            assert region_of(function) is not None, name
            assert region_of(name) == region_of(function)
    assert region_of(keras.activations.threshold) is None


@each_elementwise
def test_range(name):
    region, numeric = region_of(ELEMENTWISE[name]), measured(name)
    assert region.elementwise
    for bound, seen in (region.lower, -numeric.lower), (-region.upper, numeric.upper):
        assert math.isinf(bound) == (seen > 1e5), name
        if math.isfinite(bound):
            assert abs(bound) == pytest.approx(abs(seen), abs=2e-3)


@each_elementwise
def test_saturation_and_floor(name):
    region, numeric = region_of(ELEMENTWISE[name]), measured(name)
    y, flat = numeric.y, numeric.flat
    if name == "exponential":  # no greatest slope
        assert region == activations.Region(0.0)
        return
    # Above: saturated exactly where the function is flat at its upper end.
    assert (region.saturated_above is not None) == numeric.bounded_above
    if numeric.bounded_above:
        counted = np.mean(y >= region.saturated_above)
        assert counted == pytest.approx(
            np.mean(np.arange(len(y)) > numeric.last), abs=1e-3
        )
        assert flat[y >= region.saturated_above + 0.01].all()
    # Below: saturated or a floor, one of them.
    if numeric.bounded_below:
        assert (region.saturated_below is None) != (region.floor is None)
    else:
        assert region.saturated_below is None
        assert (region.floor is None) == ("shrink" not in name or "tanh" in name)
    if region.saturated_below is not None:
        counted = np.mean(y <= region.saturated_below)
        assert counted == pytest.approx(
            np.mean(np.arange(len(y)) < numeric.first), abs=1e-3
        )
    elif region.floor is not None and numeric.bounded_below:
        low, high = region.floor
        below = y[: numeric.first]
        # Softplus and its like come to 0 only at the end.
        lowest = min(below.min(), numeric.far_below)
        assert low == pytest.approx(lowest, abs=6e-3)
        assert high == pytest.approx(below.max(), abs=6e-3)
        inside = (below >= low - 1e-12) & (below <= high + 1e-12)
        assert inside.mean() > 0.999


@each_elementwise
def test_histogram_range(name):
    region = region_of(ELEMENTWISE[name])
    finite = math.isfinite(region.lower) and math.isfinite(region.upper)
    assert region.histogram == ((region.lower, region.upper) if finite else None)


@pytest.mark.parametrize("name", ["soft_shrink", "hard_shrink"])
def test_shrinks_are_flat_at_their_floor(name):
    numeric = measured(name)
    assert region_of(name).floor == (0.0, 0.0)
    assert numeric.flat[numeric.y == 0].mean() > 0.999


@pytest.mark.parametrize("name", ACROSS)
def test_functions_of_several_inputs(name):
    region = region_of(FUNCTIONS[name])
    assert not region.elementwise
    assert region.saturated_below is region.saturated_above is region.floor is None
    x = np.random.default_rng(0).normal(0, 30, (1000, 6))
    y = FUNCTIONS[name](tf.constant(x)).numpy()
    assert y.min() >= region.lower
    if name != "sparsemax":  # Keras 3.15 exceeds 1 where two inputs are close
        assert y.max() <= region.upper
    bounded = name in ("softmax", "sparsemax")
    assert region.histogram == ((0.0, 1.0) if bounded else None)
    assert region_of(partial(FUNCTIONS[name], axis=1)) == region


@pytest.mark.parametrize("limit", [0.3, 0.5, 0.7, 1.1, 2.0, 3.0])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_outputs_at_the_bounds_count_in_every_dtype(limit, dtype):
    x = tf.cast([-50.0, 50.0], dtype)
    clipped = partial(functional.clipped_tanh, limit=limit)
    capped = partial(keras.activations.relu, max_value=limit)
    for function in (clipped, capped, functional.relu6, keras.activations.hard_sigmoid):
        region = region_of(function)
        low, high = tf.cast(function(x), "float64").numpy()
        assert high >= region.saturated_above
        if region.floor:
            assert region.floor[0] <= low <= region.floor[1]
        else:
            assert low <= region.saturated_below


def our_relu(x):
    return x


our_relu.__name__ = "relu"


@pytest.mark.parametrize(
    "unknown",
    [
        lambda x: x,
        our_relu,
        None,
        "nonsense",
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, activation=lambda x: x),
        keras.layers.Dense(3, activation=our_relu),
        np.tanh,
        partial(keras.activations.relu, 3.0),
        partial(keras.activations.relu, slope=3.0),
    ],
)
def test_the_unknown_has_no_region(unknown):
    assert region_of(unknown) is None


L = keras.layers
TANH = region_of("tanh")
RELU = region_of("relu")


@pytest.mark.parametrize(
    ("layer", "region", "name"),
    [
        (activations.ClippedTanh(2.0), rows.clipped_tanh(2.0), "ClippedTanh"),
        (activations.ReLU6(), region_of("relu6"), "ReLU6"),
        (activations.HardSwish(), region_of("hard_silu"), "HardSwish"),
        (activations.StableGELU(), region_of("gelu"), "StableGELU"),
        (L.ReLU(), RELU, "ReLU"),
        (L.ReLU(2.0), rows.relu(max_value=2.0), "ReLU"),
        (L.ReLU(None, 0.1), rows.relu(0.1), "ReLU"),
        (L.ReLU(None, 0.0, 0.5), RELU, "ReLU"),
        (L.LeakyReLU(), activations.Region(), "LeakyReLU"),
        (L.ELU(2.0), rows.elu(2.0), "ELU"),
        (L.PReLU(), activations.Region(), "PReLU"),
        (L.Softmax(), region_of("softmax"), "Softmax"),
        (L.Activation("tanh"), TANH, "tanh"),
        (L.Activation(functional.hard_swish), region_of("hard_silu"), "hard_swish"),
        (L.Activation(partial(keras.activations.relu)), RELU, "relu"),
        (L.Dense(3), activations.Region(), None),
        (L.Dense(3, activation="relu"), RELU, "relu"),
        (L.Dense(3, activation=tf.nn.relu), RELU, "relu"),
        (L.Dense(3, activation=keras.ops.tanh), TANH, "tanh"),
        (L.Dense(3, activation=L.ReLU()), RELU, "ReLU"),
        (L.Dense(3, activation=our_relu), None, "relu"),
        (L.Conv2D(3, 3, activation="relu"), RELU, "relu"),
        (L.DepthwiseConv2D(3, activation="tanh"), TANH, "tanh"),
        (L.EinsumDense("ab,bc->ac", 3, activation="tanh"), TANH, "tanh"),
        (L.LSTM(3), TANH, "tanh"),
        (L.GRU(3, activation="relu"), RELU, "relu"),
        (L.SimpleRNN(3), TANH, "tanh"),
        (L.ConvLSTM1D(3, 3), TANH, "tanh"),
        (L.RNN(L.LSTMCell(3)), TANH, "tanh"),
        (L.RNN([L.GRUCell(3, activation="relu"), L.GRUCell(3)]), TANH, "tanh"),
        (L.Dropout(0.5), None, None),
        (L.Flatten(), None, None),
    ],
)
def test_layers(layer, region, name):
    assert region_of(layer) == region
    assert activation_of(layer) == name


def test_a_subclass_of_an_activation_layer_is_known():
    class Mine(L.ReLU):
        pass

    assert region_of(Mine(2.0)).saturated_above == 2.0
    assert activation_of(Mine()) == "Mine"
