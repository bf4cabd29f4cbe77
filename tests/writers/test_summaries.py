"""What TensorBoard shows of windows, findings and the description."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_activations.health.finding import RULES
from keras_activations.telemetry.stats import Histogram, LayerStats, WeightStats
from keras_activations.writers.markdown import RunDescription, describe_findings
from keras_activations.writers.summaries import window_summary
from tests.board import RUN
from tests.writers.windows import make_finding, make_layer, make_window, write


def test_histograms_and_distributions_show_the_counts_of_each_window(tmp_path):
    other = make_layer(histogram=Histogram(np.array([0.0, 1, 2]), np.array([7, 0])))
    board = write(tmp_path, make_window(10), make_window(20, other))

    first, second = board.histogram("activations/model/hidden")

    assert (first[0], second[0]) == (10, 20)
    third = 1 / 3
    expected = [[-1, -third, 1], [-third, third, 2], [third, 1, 3]]
    np.testing.assert_allclose(first[1], expected, atol=1e-15)
    assert second[1] == [[0, 1, 7], [1, 2, 0]]
    assert [step for step, _ in board.distribution("activations/model/hidden")] == [
        10,
        20,
    ]


def test_scalars_show_each_measure(tmp_path):
    board = write(tmp_path, make_window(10))

    expected = {
        "saturation/model/hidden": 0.75,
        "zeros/model/hidden": 0.125,
        "dead_units/model/hidden": 0.25,
        "nonfinite/model/hidden": 3.0,
        "mean/model/hidden": 0.25,
        "std/model/hidden": 0.5,
        "min/model/hidden": -1.0,
        "max/model/hidden": 1.0,
        "gradient_norm/model/hidden": 5.0,
        "weight_norm/model/hidden": 10.0,
        "update_ratio/model/hidden": 0.5,
        "gradient_norm_by_weight/model/hidden/kernel": 3.0,
        "gradient_norm_by_weight/model/hidden/bias": 4.0,
        "nonfinite_gradient_by_weight/model/hidden/kernel": 0.0,
        "nonfinite_gradient_by_weight/model/hidden/bias": 7.0,
    }
    assert board.tags("scalars") == set(expected)
    for tag, value in expected.items():
        assert board.scalar(tag) == [(10, value)]


def test_what_is_none_empty_or_not_finite_is_left_out(tmp_path):
    broken = make_layer(
        mean=float("nan"),
        std=float("inf"),
        max=1e39,  # finite, but not in the single precision of a scalar
        histogram=Histogram(np.array([0.0, np.inf]), np.array([1])),
        weights=(WeightStats("model/hidden/kernel", float("nan"), 3),),
    )
    silent = LayerStats("model/silent", nan_count=4)
    empty = make_layer(
        "model/empty", histogram=Histogram(np.array([0.0, 1]), np.array([0]))
    )
    board = write(tmp_path, make_window(1, broken, silent, empty))

    scalars = board.tags("scalars")

    assert board.tags("histograms") == set()
    assert not {"mean/model/hidden", "std/model/hidden", "max/model/hidden"} & scalars
    assert "min/model/hidden" in scalars
    assert "gradient_norm/model/hidden" not in scalars
    assert board.scalar("nonfinite_gradient_by_weight/model/hidden/kernel") == [(1, 3)]
    assert {tag for tag in scalars if "silent" in tag} == {"nonfinite/model/silent"}


def test_a_histogram_takes_less_than_two_kilobytes():
    path = "transformer/encoder/block_11/attention/query"
    histogram = Histogram(np.linspace(-1, 1, 65), np.arange(64))
    layer = LayerStats(path, histogram=histogram)

    values = window_summary(make_window(1, layer)).value

    [size] = [v.ByteSize() for v in values if v.tag.startswith("activations/")]
    assert 64 * 3 * 8 < size < 1700


def test_one_window_is_one_event(tmp_path):
    layers = [make_layer(f"model/layer_{i}") for i in range(10)]
    write(tmp_path, make_window(3, *layers))

    [file] = (tmp_path / RUN).iterdir()
    events = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    events = [tf.compat.v1.Event.FromString(event) for event in events]

    assert [len(e.summary.value) for e in events if e.step == 3] == [10 * 16]


def test_findings_of_one_rule_and_step_share_a_text(tmp_path):
    findings = [
        make_finding(7, "model/a", message="The first one."),
        make_finding(7, "model/b", message="The second one."),
        make_finding(7, "model/c", "dead_units", "Another rule."),
        make_finding(9, "model/a", message="A later step."),
    ]
    board = write(tmp_path, findings=findings)

    (step, text), (later, _) = board.text("findings/saturation")

    assert (step, later) == (7, 9)
    for expected in ("model/a", "The first one.", "model/b", "The second one.", "warn"):
        assert expected in text
    assert "<table>" in text
    assert "Another rule." in board.text("findings/dead_units")[0][1]
    assert board.scalar("finding/saturation") == [(7, 1), (9, 1)]
    assert board.scalar("finding/dead_units") == [(7, 1)]


def test_findings_have_a_column_of_causes_where_one_is_known():
    finding = make_finding()
    known = dataclasses.replace(finding, cause="large_weights")
    header, _, *rows = describe_findings([known, finding]).split("\n")
    assert header.split(" | ")[5:7] == ["action", "probable cause"]
    assert [row.split(" | ")[6] for row in rows] == [r"large weights", "unknown"]
    assert "cause" not in describe_findings([finding])


def test_the_description_shows_what_is_monitored(tmp_path):
    description = RunDescription(
        layers=[("model/hidden", "tanh"), ("model/pool", None)],
        rules=[("saturation", "stop", {"share": 0.5, "windows": 3})],
        versions={"keras": keras.__version__},
        metadata={"data|set": "a | b\nc", "<b>note</b>": "*x* `y` my_long_name"},
    )
    [(step, text)] = write(tmp_path, description=description).text("monitor/summary")

    assert step == 0
    for expected in (
        "<code>model/hidden</code></td>\n<td>tanh</td>",
        "<code>model/pool</code></td>\n<td>-</td>",
        "<td>stop</td>\n<td>share = 0.5, windows = 3</td>",
        f"<td>keras</td>\n<td>{keras.__version__}</td>",
        "<td>data|set</td>\n<td>a | b c</td>",
        "&lt;b&gt;note&lt;/b&gt;</td>\n<td>*x* `y` my_long_name</td>",
        "<td>share of units at their floor for a whole window, 0 to 1</td>",
    ):
        assert expected in text


def test_custom_scalars_show_all_layers_in_one_chart(tmp_path):
    window = make_window(5, make_layer("model/a"), make_layer("model/b"))
    findings = [make_finding(5, rule=rule) for rule in RULES]
    board = write(tmp_path, window, findings=findings, description=RunDescription())

    charts = board.charts()

    for words, tag in {
        "Saturation": "saturation",
        "Dead units": "dead_units",
        "Zeros": "zeros",
        "infinite outputs": "nonfinite",
        "Gradient norm": "gradient_norm",
        "Update ratio": "update_ratio",
    }.items():
        [shown] = [tags for title, tags in charts.items() if words in title]
        assert shown == {f"{tag}/model/a", f"{tag}/model/b"}
    [shown] = [tags for title, tags in charts.items() if "Findings" in title]
    assert len(shown) == len(RULES)
