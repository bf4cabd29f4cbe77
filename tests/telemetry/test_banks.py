"""What a bank notes of each step, and that a reset leaves nothing of it."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_activations.activations.regions import region_of
from keras_activations.telemetry import sampling
from keras_activations.telemetry.banks import Bank
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.masks import padding_mask

NAN, INF = math.nan, math.inf


def layer(path="layer", activation=None, units=3):
    region = None if activation is None else region_of(activation)
    return LayerEntry(path, activation, region, False, units, sampled=True)


def new_bank(*layers, variables=(), **options):
    weights = (WeightEntry(v.path, v.path.split("/")[0]) for v in variables)
    layout = Layout(layers or (layer(),), tuple(weights))
    return Bank(layout, variables=variables, **{"dtype": "float64", **options})


def note(bank, *outputs, step=1, before=None):
    """One sample; each output is an array, or a pair with its mask."""
    calls = []
    for output in outputs:
        x, mask = output if isinstance(output, tuple) else (output, None)
        calls.append([(tf.constant(x), None if mask is None else tf.constant(mask))])
    bank.add_sample(tf.constant(step, tf.int64), calls, before)


def assert_counted(reading, row, values):
    """The moments that need no rounding, and the extremes."""
    count, total = reading.moments[row, :2]
    assert (count, total) == (len(values), pytest.approx(np.sum(values)))
    extremes = [np.min(values, initial=INF), np.max(values, initial=-INF)]
    assert reading.extremes[row].tolist() == extremes
    assert reading.histograms[row].sum() == len(values)


# Samples


def test_each_layer_is_counted_whole_if_it_is_small():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(4, 3)), rng.normal(size=(4, 5, 2)), rng.normal(size=4)
    bank = new_bank(layer("a"), layer("b", "tanh", 2), layer("c", units=None))

    note(bank, *arrays)

    reading = bank.read()
    for row, array in enumerate(arrays):
        assert_counted(reading, row, array.ravel())
    assert reading.samples == 1


def test_a_layer_called_several_times_is_one():
    rng = np.random.default_rng(0)
    # 3 is no divisor of the values that are kept.
    arrays = [rng.normal(size=(4, 3)), 2 + rng.random((2, 7, 3)), np.full((1, 3), NAN)]
    bank = new_bank(layer("relu", "relu"))

    bank.add_sample(1, [[(tf.constant(x), None) for x in arrays]], None)

    values = np.concatenate([x.ravel() for x in arrays[:2]])
    assert_counted(bank.read(), 0, values)
    assert bank.read().alive.tolist() == [1, 1, 1]


def test_large_layers_share_a_bounded_memory():
    x = np.arange(2**15, dtype="float64").reshape(-1, 8)
    bank = new_bank(layer("large", "relu", 8), layer("small", "relu", 2))
    note(bank, x, np.ones((1, 2)))
    reading = bank.read()
    (large, total), (small, _) = reading.moments[:, :2]
    assert 2**9 <= large <= 2**14
    assert total / large == pytest.approx(x.mean(), rel=0.01)
    assert small == 2
    assert reading.alive.tolist() == [1] * 10


def test_dead_units_are_looked_for_in_more_values_than_are_kept():
    x = np.zeros((2**11, 32))
    x[999, 7] = 1  # one of 2**16 values; 2**14 are kept
    for every, alive in ((1, 0), (8, 1)):
        bank = new_bank(layer("relu", "relu", 32), every=every)
        note(bank, x, step=2)
        found = bank.read().alive
        assert found.sum() == found[7] == alive


def test_samples_are_kept_in_the_dtype_asked_for():
    for dtype, value in (("float64", 1e300), ("float32", INF)):
        bank = new_bank(dtype=dtype)
        note(bank, np.array([[1e300, 1 / 3, 0.0]]))
        assert bank.read().extremes[0, 1] == (
            value if value < INF else np.float32(1 / 3)
        )


def test_batches_of_any_size():
    bank = new_bank(layer("relu", "relu"))

    @tf.function(
        input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None], bool)]
    )
    def step(x, mask):
        bank.add_sample(tf.constant(1, tf.int64), [[(x, mask)]], None)

    for size in (5, 1, 0, 1000):
        x = np.random.default_rng(size).normal(size=(size, 3)).astype("float32")
        mask = np.arange(size) % 2 == 0
        step(x, mask)
        assert_counted(bank.read(), 0, x[mask].ravel().astype("float64"))
        bank.reset()


def test_a_bank_made_while_a_function_is_traced_again():
    banks = []

    @tf.function
    def step(x):
        banks.append(new_bank())
        banks[-1].add_sample(tf.constant(1, tf.int64), [[(x, None)]], None)

    for size in (1, 2):
        step(np.ones((size, 3)))
    assert [bank.read().moments[0, 0] for bank in banks[-2:]] == [3, 6]


# Masks


@pytest.mark.parametrize("mask_rank", [1, 2])
def test_padding_is_no_part_of_a_layer(mask_rank):
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    mask = np.random.default_rng(1).random((4, 5)[:mask_rank]) < 0.5
    mask[0] = False
    x[0], x[~mask] = 100, -100  # would be the greatest and the least
    x[..., 1][mask] = 0
    bank = new_bank(layer("relu", "relu"), layer("relu again", "relu"))

    note(bank, (x, mask), x)

    reading = bank.read()
    assert_counted(reading, 0, x[mask].ravel())
    assert_counted(reading, 1, x.ravel())
    assert reading.alive.tolist() == [1, 0, 1, 1, 1, 1]


def test_padding_of_an_output_of_one_unit():
    bank = new_bank(layer("relu", "relu", units=1))
    mask = np.array([[True, True, False], [True, False, False]])
    note(bank, (np.where(mask, 0.0, 5.0)[..., None], mask))
    assert_counted(bank.read(), 0, np.zeros(3))
    assert bank.read().alive.tolist() == [0]


def test_nothing_but_padding():
    bank = new_bank(layer("relu", "relu"))
    note(bank, (np.ones((2, 3)), np.zeros(2, bool)))
    reading = bank.read()
    assert not reading.sums.any()
    assert not reading.alive.any()
    assert np.isnan(reading.ranges).all()


def test_the_mask_that_keras_carries():
    x = np.ones((2, 3, 4), "float32")
    x[:, 2] = 0
    output = keras.layers.Masking()(x)
    np.testing.assert_array_equal(padding_mask(output), [[True, True, False]] * 2)
    assert padding_mask(tf.ones((2, 3))) is None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("shape", "mask_shape", "fits"),
    [
        ((2, 3, 4), (2,), True),
        ((2, 3, 4), (2, 3), True),
        ((2, 3, 1), (2, 3), True),
        ((2, 3), (2, 3), True),
        ((2, 5, 4), (2, 3), False),
        ((2, 3, 4), (1, 3), False),
        ((4, 3, 4), (2,), False),
        ((2,), (2, 3), False),
    ],
)
def test_a_mask_that_does_not_fit_is_passed_over(shape, mask_shape, fits, known):
    bank = new_bank(layer("relu", "relu", shape[-1]))
    unknown = [None] * len(shape), [None] * len(mask_shape)
    shapes = (shape, mask_shape) if known else unknown

    @tf.function(
        input_signature=[tf.TensorSpec(shapes[0]), tf.TensorSpec(shapes[1], tf.bool)]
    )
    def step(output, mask):
        output._keras_mask = mask
        bank.add_sample(
            tf.constant(1, tf.int64), [[(output, padding_mask(output))]], None
        )

    x, mask = np.ones(shape, "float32"), np.arange(math.prod(mask_shape)) % 2 == 0
    step(x, mask.reshape(mask_shape))

    kept = x[mask.reshape(mask_shape)] if fits else x
    assert_counted(bank.read(), 0, kept.ravel())


# Several samples before they are read


@pytest.mark.parametrize("slots", [1, 2, 3, 5])
def test_the_last_samples_are_kept(slots):
    bank = new_bank(layer("a", "relu", 2), layer("b", units=1), slots=slots)
    samples = [10.0 * n + np.arange(2) for n in range(1, 4)]
    for number, x in enumerate(samples, start=1):
        note(bank, x * [[1, 0]], x[:, None], step=number)
        reading = bank.read()
        kept = np.stack(samples[max(0, number - slots) : number])
        assert reading.samples == len(kept)
        assert_counted(reading, 0, (kept * [1, 0]).ravel())
        assert_counted(reading, 1, kept.ravel())


def test_units_are_alive_that_were_so_in_any_sample():
    bank = new_bank(layer("relu", "relu", units=4))
    note(bank, np.array([[0.0, 0.0, 1.0, -1.0]]))
    note(bank, np.array([[0.0, 2.0, 0.0, 0.0]]))  # takes the first one's only slot
    assert bank.read().alive.tolist() == [0, 1, 1, 1]


# Ranges


def test_ranges_settle_on_the_first_sample_and_stay():
    bank = new_bank(layer("any", units=2), layer("tanh", "tanh", units=1))
    assert np.isnan(bank.read().ranges[0]).all()
    for x in ([[-3.0, 5.0]], [[-30.0, 50.0]]):
        note(bank, np.array(x), np.array([[0.5]]))
        reading = bank.read()
        assert reading.ranges.tolist() == [[-3, 5], [-1, 1]]
        assert reading.histograms[0, [0, -1]].tolist() == [1, 1]
        bank.reset()
    bank.ranges = np.array([[-100.0, 100.0], [-1.0, 1.0]])
    note(bank, np.array([[-30.0, 50.0]]), np.array([[0.5]]))
    assert np.flatnonzero(bank.read().histograms[0]).tolist() == [22, 48]


# Every step: gradients, faults, dropped updates


def test_the_greatest_gradients_are_kept():
    kernel, bias, unused = (keras.Variable(np.ones(2), name=n) for n in "abc")
    bank = new_bank(variables=[kernel, bias, unused])
    for squares in ([4.0, 1.0, NAN], [9.0, NAN, NAN], [1.0, 2.0, NAN]):
        bank.add_gradients(tf.constant(squares, tf.float32))
    assert bank.read().squares.tolist() == [9, 2, -INF]
    bank.add_gradients(tf.constant([INF, 0.0, 0.0]))
    assert bank.read().squares.tolist() == [INF, 2, 0]


def test_the_first_bad_step_is_kept_apart():
    bank = new_bank()  # sources: the layer, the loss, the batch
    nothing = np.zeros((3, 2))
    first, later = (
        nothing + [[0, 1], [0, 0], [0, 0]],
        nothing + [[2, 0], [1, 0], [0, 0]],
    )
    for step, counts in ((4, nothing), (5, first), (6, nothing), (7, later)):
        bank.add_faults(tf.constant(step, tf.int64), tf.constant(counts))
    reading = bank.read()
    assert reading.flags.tolist() == [5, 0, 0]
    np.testing.assert_array_equal(reading.faults, [first + later, first])


def test_what_was_noted():
    bank = new_bank()
    step, faults = tf.constant(3, tf.int64), tf.ones((3, 2), tf.float64)
    for add, flags in (
        (lambda: bank.add_dropped(tf.constant(True)), [0, 1, 0]),
        (lambda: bank.add_faults(step, faults), [3, 0, 0]),
        (lambda: note(bank, np.ones((1, 3))), [0, 0, 1]),
    ):
        bank.add_dropped(tf.constant(False))
        bank.add_gradients(tf.zeros([0]))
        assert not bank.noted
        add()
        assert bank.noted
        assert bank.read().flags.tolist() == flags
        bank.reset()


# XLA


def test_the_same_under_xla():
    rng = np.random.default_rng(0)
    layers = layer("relu", "relu", 6), layer("tanh", "tanh", None)
    kernel = keras.Variable(rng.normal(size=(70, 90)), name="kernel")

    def step_of(bank):
        def step(number, x, mask):
            before = sampling.sampled_weights([kernel], 2**12)
            kernel.assign_sub(0.01 * tf.cast(x[:70, :1], kernel.dtype))
            bank.add_gradients([x[0, 0] + 1])
            bank.add_faults(number, tf.stack([tf.fill([2], x[0, 0])] * 5))
            bank.add_dropped(x[0, 0] > 0)
            outputs = [[(x[:9], None), (x, mask)], [(x[:, 0], mask)]]
            bank.add_sample(number, outputs, before)

        return tf.function(step, jit_compile=bank is compiled, autograph=False)

    def new():
        return new_bank(
            *layers, variables=[kernel], weight_entries=2**12, dtype="float32", slots=2
        )

    plain, compiled = new(), new()
    start, readings = kernel.numpy(), []
    for bank in (plain, compiled):
        kernel.assign(start)
        step = step_of(bank)
        for number in (1, 2, 3):
            x = np.maximum(np.random.default_rng(number).normal(size=(3000, 6)), 0)
            x[::7], x[:, 3], x[0, 0] = NAN, 0, number - 1
            mask = x[:, 0] > 0.1
            step(tf.constant(number, tf.int64), tf.constant(x, tf.float64), mask)
        readings.append(vars(bank.read()))

    for name, expected in itertools.islice(readings[0].items(), 1, None):
        np.testing.assert_allclose(readings[1][name], expected, rtol=1e-6, err_msg=name)
    assert readings[0]["flags"].tolist() == [2, 2, 2]
    assert readings[0]["squares"].tolist() == [3]
    assert readings[0]["alive"].tolist() == [1, 1, 1, 0, 1, 1]
