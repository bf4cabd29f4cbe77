"""Readings of several replicas together, and nothing in them from before a reset."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from keras_activations.activations.regions import region_of
from keras_activations.telemetry import gathering
from keras_activations.telemetry.banks import Bank
from keras_activations.telemetry.counting import BINS, MOMENTS
from keras_activations.telemetry.layouts import LayerEntry, Layout, WeightEntry
from keras_activations.telemetry.reading import merged
from keras_activations.telemetry.readout import layer_stats

INF = math.inf
LAYOUT = Layout(
    (
        LayerEntry("relu", "relu", region_of("relu"), False, 3, sampled=True),
        LayerEntry("tanh", "tanh", region_of("tanh"), False, 3, sampled=True),
    ),
    (WeightEntry("kernel", "relu"), WeightEntry("bias", "relu")),
)
SOURCES = len(LAYOUT.sources)


@dataclasses.dataclass
class Weight:
    """As much of a `keras.Variable` as a bank looks at."""

    value: tf.Tensor

    @property
    def shape(self):
        return self.value.shape


def weights():
    return [Weight(tf.constant([[3.0, 4.0]])), Weight(tf.constant([2.0]))]


def new_bank(**options):
    return Bank(LAYOUT, variables=weights(), dtype="float64", **options)


def note_all(bank, *samples, before=(0.0, 0.0, 0.0), faults=None, dropped=0):
    """A step for each sample, two arrays of outputs."""
    for step, arrays in enumerate(samples, start=1):
        outputs = [[(tf.constant(x, tf.float64), None)] for x in arrays]
        before = tf.constant(before, tf.float64)
        bank.add_sample(tf.constant(step, tf.int64), outputs, before)
        bank.add_gradients(tf.constant([step, math.nan]))
    for step, count in (faults or {}).items():
        counts = tf.fill([SOURCES, 2], tf.cast(count, tf.float64))
        bank.add_faults(tf.constant(step, tf.int64), counts)
    for _ in range(dropped):
        bank.add_dropped(tf.constant(True))


def outputs(seed, shift=0.0):
    rng = np.random.default_rng(seed)
    relu = np.maximum(shift + rng.normal(size=(50, 3)), 0)
    return relu * [0, 1, 1], np.tanh(rng.normal(size=(50, 3)))


def assert_same(found, expected):
    for name, value in vars(expected).items():
        if name != "layout":
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


# A reset


def test_parts_of_a_reading():
    bank = new_bank()
    note_all(bank, outputs(0))
    reading = bank.read()
    assert reading.samples == 1
    assert reading.moments.shape == (2, len(MOMENTS))
    assert reading.histograms.shape == (2, BINS)
    assert (reading.moments[:, 0] == reading.histograms.sum(axis=1)).all()


def test_to_read_changes_nothing():
    bank = new_bank()
    note_all(bank, outputs(0), faults={2: 3}, dropped=1)
    assert_same(bank.read(), bank.read())


def assert_nearly_same(found, expected):
    for name, value in vars(expected).items():
        if name != "layout":
            np.testing.assert_allclose(
                getattr(found, name), value, rtol=1e-12, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("slots", [1, 2])
def test_a_bank_beyond_the_host_reads_the_same(slots, monkeypatch):
    def read_both():
        ranges = bank.ranges
        on_host = bank.read()
        bank.ranges = ranges
        with monkeypatch.context() as patch:
            patch.setattr(gathering, "on_cpu", lambda tensors: False)
            assert_nearly_same(bank.read(), on_host)

    bank = new_bank(slots=slots)
    read_both()
    note_all(bank, *map(outputs, range(3)), faults={2: 3}, dropped=1)
    read_both()
    # The graph holds none of what was noted, nor the ranges of that time.
    bank.reset()
    bank.ranges = np.array([[0.0, 3.0], [-2.0, 2.0]])
    note_all(bank, outputs(3), before=(1.0, 2.0, 3.0))
    read_both()


@pytest.mark.parametrize("slots", [1, 3])
def test_after_a_reset_a_bank_is_as_new(slots):
    bank, new = new_bank(slots=slots), new_bank(slots=slots)
    samples = [outputs(seed, shift=5.0) for seed in range(3)]
    note_all(bank, *samples, before=(9.0, 9.0, 9.0), faults={2: 3, 3: 1}, dropped=2)
    bank.read()
    bank.reset()

    bank.ranges = new.ranges = np.array([[0.0, 6.0], [-1.0, 1.0]])
    assert_same(bank.read(), new.read())
    for noted in (
        {"faults": {7: 0}},  # a sum that overflowed
        {"faults": {8: 1, 9: 2}},
        {"dropped": 1},
    ):
        note_all(bank, **noted)
        note_all(new, **noted)
        assert_same(bank.read(), new.read())
    for seed in range(3, 8):
        note_all(bank, outputs(seed))
        note_all(new, outputs(seed))
        assert_same(bank.read(), new.read())


def test_what_a_reset_leaves_is_that_of_nothing_noted():
    bank = new_bank()
    note_all(bank, outputs(0), faults={2: 3}, dropped=2)
    ranges = bank.read().ranges
    bank.reset()
    reading = bank.read()
    for name in ("flags", "faults", "sums", "alive", "updates", "weights"):
        assert not getattr(reading, name).any(), name
    assert reading.squares.tolist() == [-INF, -INF]
    assert reading.extremes.tolist() == [[INF, -INF]] * 2
    np.testing.assert_array_equal(reading.ranges, ranges)  # for the next window


def test_a_reset_within_a_window_keeps_the_gradients():
    bank = new_bank()
    note_all(bank, outputs(0), faults={2: 3})
    bank.reset(window=False)
    reading = bank.read()
    assert reading.squares.tolist() == [1, -INF]
    for name in ("flags", "faults", "sums", "alive", "updates", "weights"):
        assert not getattr(reading, name).any(), name


def test_what_is_learnt_may_be_of_another_size():
    kernel, bias = weights()
    bank = Bank(
        LAYOUT,
        variables=[kernel, bias],
        dtype="float64",
        units_of=lambda v: np.array([[0.0, 2.0]]) if v is kernel else None,
    )
    note_all(bank, outputs(0))
    reading = bank.read()
    assert reading.weights.tolist() == [5, 2]
    assert reading.units.tolist() == [8 / 5, 1]


# Replicas


def read_together(*banks):
    """Reads the banks as the replicas of one: they count in the same bins."""
    for bank in banks:
        bank.ranges = np.array([[0.0, 6.0], [-1.0, 1.0]])
    return merged([bank.read() for bank in banks])


def test_one_replica_is_what_it_read():
    bank = new_bank()
    note_all(bank, outputs(0), faults={2: 3}, dropped=1)
    assert_same(merged([bank.read()]), bank.read())


def test_all_values_of_all_replicas():
    # Of different size and mean: padding takes examples from some.
    arrays = [
        outputs(0),
        tuple(x[:7] for x in outputs(1, shift=3.0)),
        tuple(x[:0] for x in outputs(2)),
    ]
    banks = [new_bank() for _ in arrays]
    for bank, sample in zip(banks, arrays, strict=True):
        note_all(bank, sample)

    reading = read_together(*banks)

    stats = layer_stats(reading, dict.fromkeys(LAYOUT.sources, (0, 0)))
    for row, path in enumerate(("relu", "tanh")):
        values = np.concatenate([sample[row].ravel() for sample in arrays])
        found = stats[path]
        assert found.count == values.size
        np.testing.assert_allclose(
            [found.mean, found.std, found.min, found.max, found.zero_fraction],
            [
                values.mean(),
                values.std(),
                values.min(),
                values.max(),
                (values == 0).mean(),
            ],
            rtol=1e-12,
        )
        expected, _ = np.histogram(
            np.clip(values, *reading.ranges[row]), found.histogram.edges
        )
        assert found.histogram.counts.tolist() == expected.tolist()
    assert stats["relu"].dead.tolist() == [True, False, False]
    assert reading.samples == 1


def test_a_unit_alive_in_one_replica_is_alive():
    banks = [new_bank(), new_bank()]
    tanh = np.zeros((1, 3))
    note_all(banks[0], ([[0.0, 0.0, 1.0]], tanh))
    note_all(banks[1], ([[0.0, 1.0, 0.0]], tanh))
    assert read_together(*banks).alive.tolist() == [0, 1, 1]


def test_the_first_bad_step_of_any_replica():
    banks = [new_bank() for _ in range(4)]
    for bank, faults in zip(
        banks, ({5: 10, 6: 1000}, {3: 1, 5: 100}, {}, {3: 2}), strict=True
    ):
        note_all(bank, faults=faults, dropped=2)

    reading = read_together(*banks)

    assert reading.flags.tolist() == [3, 2, 0]  # an update is dropped by all at once
    assert (reading.faults[0] == 10 + 1000 + 1 + 100 + 2).all()
    assert (reading.faults[1] == 1 + 2).all()


def test_the_greatest_gradient_and_one_update_of_all_the_same():
    banks = [new_bank(), new_bank()]
    for bank, squares in zip(banks, ([4.0, math.nan], [9.0, math.nan]), strict=True):
        note_all(bank, outputs(0), before=(1.0, 2.0, 2.0))
        bank.add_gradients(tf.constant(squares))
    reading = read_together(*banks)
    assert reading.squares.tolist() == [9, -INF]
    # From (1, 2) to (3, 4), from 2 to 2.
    # Of the squares before it the mean makes up two of 1.5 and one of 2.
    assert reading.updates.tolist() == [[8, 0], [5, 4], [4.5, 4]]
    assert reading.weights.tolist() == [5, 2]


@pytest.mark.parametrize("now", [{"faults": {9: 4}}, {"dropped": 1}, {}])
def test_a_replica_that_noted_nothing_brings_nothing_from_before(now):
    old, new, alone = new_bank(), new_bank(), new_bank()
    note_all(old, outputs(0), faults={2: 3}, dropped=1)
    old.reset()
    for bank in (new, alone):
        note_all(bank, *([] if now else [outputs(1)]), **now)
    expected = read_together(alone)
    # All replicas make the same update, or none.
    expected = dataclasses.replace(expected, updates=np.zeros((3, 2)))
    for order in ((new, old), (old, new)):
        found = dataclasses.replace(read_together(*order), updates=np.zeros((3, 2)))
        assert_same(found, expected)
