"""Whatever a window holds, it is judged: no number is too odd, and findings are whole."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_activations.health import rules
from keras_activations.health.examiner import Examiner
from keras_activations.health.finding import CAUSES, RULES
from keras_activations.telemetry.stats import (
    LayerStats,
    ValueStats,
    WeightStats,
    Window,
)
from tests.health.windows import assert_one_sentence

SHARES = st.none() | st.floats(0, 0.5)
SIZES = st.none() | st.sampled_from(
    [0.0, 1e-300, 1e-9, 1e-3, 1.0, 50.0, 1e9, 1e300, math.inf]
)
SHAPES = st.sampled_from([(), (4,), (3, 4), (0, 4), (2, 12), (3, 3, 2, 4), (64, 4, 16)])
NAMES = st.sampled_from(["kernel", "recurrent_kernel", "bias", "gamma", "embeddings"])
VALUES = st.none() | st.builds(
    ValueStats, *(st.sampled_from([-1e30, -3.0, 0.0, 0.5, 1e30]) for _ in range(4))
)


@st.composite
def layers(draw, path):
    weights = tuple(
        WeightStats(
            f"{path}/{draw(NAMES)}",
            gradient_norm=draw(SIZES),
            gradient_nan_count=draw(st.sampled_from([0, 0, 0, 2])),
            weight_norm=draw(SIZES | st.just(math.nan)),
            update_ratio=draw(SIZES),
            mean_ratio=draw(SHARES | st.just(1.0)),
            shape=draw(SHAPES),
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    units = draw(st.none() | st.integers(1, 6))
    dead = (
        None
        if units is None
        else np.array(
            draw(st.lists(st.booleans(), min_size=units, max_size=units)), bool
        )
    )
    return LayerStats(
        path,
        activation=draw(st.sampled_from([None, "tanh"])),
        is_output=draw(st.booleans()),
        limits=draw(st.sampled_from([None, (-1.0, 1.0)])),
        count=draw(st.sampled_from([0, 9])),
        saturation_low=draw(SHARES),
        saturation_high=draw(SHARES),
        units=units,
        dead=dead,
        weights=weights,
    )


@st.composite
def windows(draw):
    known = [draw(layers(path)) for path in ("m/a", "m/a/cell", "m/b", "c")]
    return {
        "layers": {stats.path: stats for stats in known},
        "inputs": draw(VALUES),
        "targets": draw(VALUES),
        "loss": draw(SIZES),
    }


@settings(max_examples=60, deadline=None)
@given(windows(), windows(), st.integers(1, 4))
def test_every_window_can_be_judged(first, then, turns):
    judge = Examiner(rules.default_rules(), dict.fromkeys(RULES, "warn"))
    step = 1
    for facts in [*[first] * turns, *[then] * 4, first]:
        same_units = {
            path: stats
            for path, stats in facts["layers"].items()
            if stats.units == first["layers"][path].units
        }
        window = Window(step, 0, 1, **(facts | {"layers": same_units}))
        for finding in judge.judge_window(window):
            assert finding.layer in window.layers
            assert finding.cause in CAUSES
            assert finding.medicine
            assert_one_sentence(finding)
        step += 20
