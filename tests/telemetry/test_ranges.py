"""Histogram ranges: settled by what was seen, then at rest around the bulk of it."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from keras_activations.activations.regions import Region, region_of
from keras_activations.telemetry.counting import BINS, MOMENTS
from keras_activations.telemetry.layouts import LayerEntry, Layout
from keras_activations.telemetry.ranges import LEAST_WIDTH, next_ranges, settled
from keras_activations.telemetry.reading import Reading

NAN, INF = math.nan, math.inf
UNKNOWN = np.full((1, 2), NAN)
NOTHING = [INF, -INF]  # extremes of a layer without a finite value
finite = st.floats(allow_nan=False, allow_infinity=False)


# The first range


@given(st.lists(st.tuples(finite, finite) | st.just(NOTHING), min_size=1, max_size=4))
def test_settled(replicas):
    replicas = [sorted(e) if e is not NOTHING else e for e in replicas]
    seen = [value for e in replicas if e is not NOTHING for value in e]
    extremes = np.array([[e, e] for e in replicas])
    ranges = np.array([[NAN, NAN], [-1.0, 1.0]])

    found = settled(ranges, extremes)

    assert found[1].tolist() == [-1, 1]  # a known range stays
    low, high = found[0]
    if not seen:
        assert np.isnan(found[0]).all()
        return
    scale = max(abs(min(seen)), abs(max(seen)))
    # As Python's own: infinite where it is beyond float64.
    width = max(max(seen) - min(seen), 1e-6 * scale, LEAST_WIDTH)
    if math.isinf(min(seen) + width):
        assert np.isnan(found[0]).all()
        return
    assert low == min(seen)
    assert low < high < INF
    assert math.isclose(high, low + width, rel_tol=0, abs_tol=1e-15 * scale)
    assert (np.diff(np.linspace(low, high, BINS + 1)) > 0).all()


def test_replicas_agree_on_one_range():
    extremes = np.array([[[0.0, 2.0]], [[-3.0, 1.0]], [NOTHING]])
    assert settled(UNKNOWN, extremes).tolist() == [[-3, 2]]
    assert settled(UNKNOWN, extremes[::-1]).tolist() == [[-3, 2]]


def test_nothing_to_settle():
    assert settled(np.zeros((0, 2)), np.zeros((1, 0, 2))).shape == (0, 2)


# The next range


def reading_of(region, limits, counts):
    """A reading of one layer with that histogram."""
    layer = LayerEntry("layer", None, region, False, 3, sampled=True)
    layout = Layout((layer,), ())
    return Reading(
        layout=layout,
        ranges=np.array([limits], float),
        weights=np.zeros(0),
        units=np.zeros(0),
        flags=np.array([0.0, 0.0, 1.0]),
        faults=np.zeros((2, len(layout.sources), 2)),
        sums=np.concatenate([np.zeros(len(MOMENTS)), counts])[None],
        extremes=np.array([NOTHING]),
        alive=np.zeros(0),
        squares=np.zeros(0),
        updates=np.zeros((3, 0)),
        batch=np.zeros((3, 2 + len(MOMENTS))),
    )


def ranges_after(counts, limits, region=None):
    full = np.zeros(BINS)
    for bin_, count in counts.items():
        full[bin_] = count
    reading = reading_of(region, limits, full)
    found = tuple(next_ranges(reading)[0])
    assert reading.ranges.tolist() == [list(limits)]
    return found


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({}, (-1, 1), id="nothing seen"),
        pytest.param({10: 50, 50: 50}, (-1, 1), id="fits"),
        pytest.param({0: 4, 20: 48, 60: 48}, (-1, 1), id="4 % outside"),
        pytest.param({0: 6, 20: 47, 60: 47}, (-2, 2), id="6 % below"),
        pytest.param({63: 6, 20: 47, 60: 47}, (-2, 2), id="6 % above"),
        pytest.param({0: 50, 63: 50}, (-2, 2), id="both sides"),
        pytest.param({24: 50, 40: 50}, (-1, 1), id="over a quarter of the bins"),
        pytest.param({24: 50, 38: 50}, (-0.515625, 0.484375), id="in fewer"),
        pytest.param(
            {5: 1, 30: 9998, 60: 1}, (-0.546875, 0.453125), id="few stragglers"
        ),
    ],
)
def test_ranges_follow_the_bulk_in_steps_of_two(counts, expected):
    assert ranges_after(counts, (-1, 1)) == pytest.approx(expected)


def test_ranges_of_bounded_activations_stay():
    for counts in ({0: 100}, {30: 100}, {63: 100}):
        assert ranges_after(counts, (-1, 1), region_of("tanh")) == (-1, 1)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({0: 60, 40: 40}, (0, 4), id="zeros are no outliers"),
        pytest.param({0: 60, 40: 34, 63: 6}, (0, 6), id="outliers above"),
        pytest.param({0: 60, 8: 40}, (0, 1 + 9 / 32), id="narrower"),
    ],
)
def test_ranges_of_rectifiers_start_at_their_floor(counts, expected):
    assert ranges_after(counts, (0, 4), region_of("relu")) == pytest.approx(expected)


def test_a_layer_that_was_not_seen_stays_unknown():
    reading = reading_of(None, (NAN, NAN), np.zeros(BINS))
    assert np.isnan(next_ranges(reading)).all()


# Over many windows


def courses(draw, region, windows):
    """The ranges that a layer with outputs `draw(window)` goes through."""
    first = draw(0)
    ranges = [settled(UNKNOWN, np.array([[[first.min(), first.max()]]]))]
    for window in range(windows):
        low, high = ranges[-1][0]
        assert low < high, f"no width left in window {window}"
        values = np.clip(draw(window), low, high)
        bins = (values - low) / (high - low) * BINS
        counts = np.bincount(np.minimum(bins.astype(int), BINS - 1), minlength=BINS)
        ranges.append(next_ranges(reading_of(region, ranges[-1][0], counts)))
    return np.concatenate(ranges)


@pytest.mark.parametrize("region", [Region(), region_of("relu")], ids=["any", "relu"])
def test_ranges_come_to_rest_around_what_moved(region):
    rng = np.random.default_rng(0)
    scales = [1.0] * 5 + [100.0] * 15 + [0.01] * 25

    ranges = courses(
        lambda i: np.maximum(rng.normal(scale=scales[i], size=2000), region.lower),
        region,
        len(scales),
    )

    for last, scale in ((4, 1.0), (19, 100.0), (44, 0.01)):
        low, high = ranges[last]
        np.testing.assert_array_equal(ranges[last - 1], ranges[last])  # at rest
        assert 1.2 * scale < high < 12 * scale
        assert low == 0 if region.lower == 0 else -12 * scale < low < -1.2 * scale


@pytest.mark.parametrize(
    ("value", "activation"),
    [(0.0, "relu"), (0.0, "tanh_shrink"), (1.0, "relu"), (-300.0, "tanh_shrink")],
)
def test_ranges_of_constant_outputs_stay_wider_than_nothing(value, activation):
    ranges = courses(lambda i: np.full(8, value), region_of(activation), 1000)
    edges = np.linspace(*ranges.T, BINS + 1)
    assert np.isfinite(ranges).all()
    assert (np.diff(edges, axis=0) > 0).all()
