"""Two replicas in one process, under MirroredStrategy: their notes are those of one run."""

import numpy as np
import pytest

from tests.board import Board
from tests.modes import processes
from tests.modes.runs import BATCH, batches
from tests.modes.strategies import assert_same, rows
from tests.modes.twin import (
    LAYERS,
    assert_describes,
    assert_describes_steps,
    assert_describes_update,
    by_name,
    forward,
)
from tests.modes.two_devices import FITS, LOGS

WEIGHTS = [f"{layer}/{kind}" for layer in LAYERS for kind in ("kernel", "bias")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two_devices")


@pytest.fixture(scope="module")
def results(folder):
    """What `two_devices` sent."""
    (sent,), _ = processes.run("tests.modes.two_devices", [folder], [{}], timeout=600)
    return sent


def fitted_batches():
    """The batches of `two_devices.FITS`, each with what Keras weighs its rows with."""
    return [
        (*batch, row_weights(len(batch[0])))
        for number in FITS
        for batch in batches(*rows(number))
    ]


def row_weights(number):
    """Keras takes the mean of each replica's mean; none of no rows."""
    first = -(-number // 2)
    shares = [first, number - first]
    return np.repeat([number / (2 * max(share, 1)) for share in shares], shares)


def assert_bins(histogram, values):
    """The values lie in the bins, to the few that rounding takes over an edge."""
    inside = np.clip(values, histogram.edges[0], histogram.edges[-1])
    counts, _ = np.histogram(inside, histogram.edges)
    assert np.abs(counts - histogram.counts).sum() <= 4


def test_observing_changes_nothing(results):
    assert_same(results["plain"], results["watched"])


def test_statistics_are_those_of_the_whole_batch(results):
    watched, data = results["watched"], fitted_batches()
    assert [window.step for window in watched.windows] == list(range(1, len(data) + 1))
    for before, batch, window in zip(
        watched.before, data, watched.windows, strict=True
    ):
        assert_describes_steps(window, [(before, batch)])
        outputs = forward(before, batch[0])
        # The first is known by its activation, the last by what it put out before.
        for name, stats in by_name(window.layers).items():
            if name in ("hidden", "head"):
                assert_bins(stats.histogram, outputs[name].ravel())


def test_updates(results):
    watched = results["watched"]
    trained = results["trained"]
    afters = [*watched.before[1:], trained]
    for before, after, window in zip(
        watched.before, afters, watched.windows, strict=True
    ):
        assert_describes_update(window, WEIGHTS, before, after)


def test_a_unit_is_dead_if_it_is_in_every_replica(results):
    watched = results["watched"]
    halves_differ = False
    for before, (x, *_), window in zip(
        watched.before, fitted_batches(), watched.windows, strict=True
    ):
        first = -(-len(x) // 2)
        alive = [
            (forward(before, half)["rectified"] > 0).any(axis=0)
            for half in (x[:first], x[first:])
        ]
        halves_differ |= (alive[0] != alive[1]).any()
        stats = by_name(window.layers)["rectified"]
        np.testing.assert_array_equal(stats.dead, ~(alive[0] | alive[1]))
    assert halves_differ


def test_logs(results, folder):
    steps = [window.step for window in results["watched"].windows]
    assert len(list((folder / LOGS).rglob("*tfevents*"))) == len(FITS)
    board = Board(folder / LOGS)
    for kind, events in (("scalars", board.scalar), ("histograms", board.histogram)):
        assert len(board.tags(kind)) >= len(LAYERS)
        for tag in board.tags(kind):
            assert [step for step, _ in events(tag)] == steps, tag


@pytest.mark.parametrize("call", ["evaluate", "predict"])
def test_inference(call, results):
    plain, watched, windows = results[call]
    np.testing.assert_equal(watched, plain)
    data = batches(*rows(FITS[1]))
    assert [window.step for window in windows] == list(range(1, len(data) + 1))
    for (x, _), window in zip(data, windows, strict=True):
        outputs = forward(results["trained"], x)
        for name, stats in by_name(window.layers).items():
            assert_describes(stats, outputs[name])
            assert stats.gradient_norm is None


def test_a_healthy_run_under_rescue_keeps_its_bits(results):
    assert results["healthy, rescued"].findings == []
    assert_same(results["healthy, plain"], results["healthy, rescued"])


def test_nan_in_one_replica_is_dropped_by_all(results):
    bad, before = results["bad"], results["before it"]
    (finding,) = bad.findings
    assert (finding.step, finding.action) == (4, "clip")
    kept = len(bad.state) - 2 * 4  # metrics count the step, two of two variables each
    for one, other in zip(bad.state[:kept], before.state[:kept], strict=True):
        np.testing.assert_array_equal(one, other)


def test_rescue_scales_the_copies_of_all_replicas(results):
    saturated = results["saturated"]
    rules = [(finding.rule, finding.action) for finding in saturated.findings]
    assert rules[:2] == [("saturation", "rescue")] * 2
    assert "scaled the weights of hidden" in saturated.findings[1].message
    weights = saturated.state[: 2 * len(saturated.before[0])]
    for one, other in zip(weights[::2], weights[1::2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_clip_is_refused_in_a_loop_by_hand(results):
    message = results["in a loop"]
    assert "not supported under MirroredStrategy in a training loop" in message
    assert message.endswith("Received: a model with 2 replicas")


def test_nothing_is_left(results):
    assert not results["left"]
    assert_same(results["plain, again"], results["unwatched, again"])


def test_nan_in_one_replica_stops_all(results):
    stopped = results["stopped"]
    (finding,) = stopped.findings
    assert (finding.rule, finding.layer) == ("nonfinite", "hidden")
    assert (finding.step, finding.value) == (3, 12)  # a row of its outputs
    assert "the batch itself already holds 1" in finding.message
    assert len(stopped.before) == 3
    assert [window.step for window in stopped.windows] == [1]


def test_half_precision(results):
    plain, watched = results["half, plain"], results["half, watched"]
    assert results["half, optimizer"] == "LossScaleOptimizer"
    assert_same(plain, watched)
    assert watched.findings == []
    for before, batch, window in zip(
        watched.before, batches(*rows(4 * BATCH)), watched.windows, strict=True
    ):
        assert_describes_steps(window, [(before, batch)], 4e-3, 1e-2)


def test_layers_with_a_state_and_sparse_gradients(results):
    plain, watched = results["words, plain"], results["words, watched"]
    assert_same(plain, watched)
    assert [window.step for window in watched.windows] == [1, 4]
    counts = [by_name(window.layers)["hidden"].count for window in watched.windows]
    assert counts == [BATCH * 12, 3 * 12]
    for one, other in zip(*results["saved"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loop_by_hand(results):
    plain, watched = results["loop, plain"], results["loop, watched"]
    assert_same(plain, watched)
    assert not results["loop, left"]
    data = batches(*rows(2 * BATCH))
    *healthy, last = watched.windows
    for before, batch, window in zip(watched.before, data, healthy, strict=False):
        assert_describes_steps(window, [(before, batch)])
    assert [window.step for window in watched.windows] == [1, 2, 3]
    (finding,) = watched.findings
    assert (finding.layer, finding.step) == ("hidden", 3)
    # Three rows in two replicas, but a single gradient of both.
    assert finding.value == by_name(last.layers)["hidden"].nan_count == 3 * 12
    kernel, bias = by_name(last.layers)["hidden"].weights
    assert kernel.gradient_nan_count == 64 * 12
    assert bias.gradient_nan_count == 12
    assert by_name(last.layers)["hidden"].count == (BATCH - 3) * 12
