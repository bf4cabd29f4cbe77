"""The protos TensorBoard reads, built from windows and findings.

Pure functions: no file and no TensorFlow. Everything known about one step
goes into one `Summary`, which is several times cheaper to write than a
`tf.summary` call for each value.
"""

import functools

import numpy as np
from tensorboard.compat.proto import (
    summary_pb2,
    tensor_pb2,
    tensor_shape_pb2,
    types_pb2,
)
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar_metadata
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.text import metadata as text_metadata

from keras_activations.writers.markdown import describe_findings, describe_run
from keras_activations.writers.measures import LAYER_MEASURES, WEIGHT_MEASURES

# Scalars are kept in single precision: what does not fit would read as inf.
_GREATEST = float(np.finfo(np.float32).max)

_HISTOGRAM = summary_pb2.SummaryMetadata(
    plugin_data=summary_pb2.SummaryMetadata.PluginData(
        plugin_name=histogram_metadata.PLUGIN_NAME
    )
)

_GLOSSARY = (
    ("activations/...", "histogram of the outputs; the end bins hold outliers too"),
    ("finding/...", "1 at each step where this rule found something"),
    ("findings/...", "text: what the rule found"),
    *((f"{m.tag}/...", m.meaning) for m in LAYER_MEASURES + WEIGHT_MEASURES),
)


def window_summary(window):
    """Histograms and scalars of every layer in a window.

    Args:
        window: a `Window`.

    Returns:
        `Summary` proto. What is None, empty or not finite is left out.
    """
    summary = summary_pb2.Summary()
    for path, stats in window.layers.items():
        _add_histogram(summary, f"activations/{path}", stats.histogram)
        for measure in LAYER_MEASURES:
            _add_scalar(summary, f"{measure.tag}/{path}", measure.read(stats))
        for weight in stats.weights:
            for measure in WEIGHT_MEASURES:
                tag = f"{measure.tag}/{weight.path}"
                _add_scalar(summary, tag, measure.read(weight))
    return summary


def findings_summary(findings):
    """Text and marker of the findings of one step.

    A step in TensorBoard's text view shows one text a tag, so that all
    findings of a rule go into one.

    Args:
        findings: sequence of `Finding`, all of one step.

    Returns:
        `Summary` proto: for each rule a text `findings/<rule>` and a scalar
        `finding/<rule>` of 1.
    """
    summary = summary_pb2.Summary()
    by_rule: dict[str, list] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    for rule, found in by_rule.items():
        _add_text(summary, f"findings/{rule}", describe_findings(found))
        _add_scalar(summary, f"finding/{rule}", 1.0)
    return summary


def description_summary(description):
    """The run's description as text, and the layout of its charts.

    Args:
        description: a `RunDescription`.

    Returns:
        `Summary` proto.
    """
    summary = summary_pb2.Summary()
    _add_text(summary, "monitor/summary", describe_run(description, _GLOSSARY))
    _add_bytes(
        summary,
        custom_scalar_metadata.CONFIG_SUMMARY_TAG,
        custom_scalar_metadata.create_summary_metadata(),
        _layout().SerializeToString(),
    )
    return summary


def _layout():
    measures = [m for m in LAYER_MEASURES + WEIGHT_MEASURES if m.chart]
    charts = [(m.chart, f"{m.tag}/.*") for m in measures]
    charts.append(("Findings (1 where a rule found something)", "finding/.*"))
    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="Activation health, all layers",
                chart=[
                    layout_pb2.Chart(
                        title=title,
                        # TensorBoard matches from the start of a tag.
                        multiline=layout_pb2.MultilineChartContent(tag=[regex]),
                    )
                    for title, regex in charts
                ],
            )
        ]
    )


def _add_scalar(summary, tag, value):
    # NaN fails the comparison, so it is left out with the infinities.
    if value is not None and abs(value) <= _GREATEST:
        summary.value.add(tag=tag, simple_value=float(value))


def _add_histogram(summary, tag, histogram):
    if histogram is None or not histogram.counts.any():
        return
    edges = np.asarray(histogram.edges, np.float64)
    # One edge that is not finite makes TensorBoard's page draw nothing.
    if not np.isfinite(edges).all():
        return
    bins = np.empty((len(edges) - 1, 3), "<f8")
    bins[:, 0], bins[:, 1], bins[:, 2] = edges[:-1], edges[1:], histogram.counts
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_DOUBLE,
        tensor_shape=_shape(bins.shape),
        tensor_content=bins.tobytes(),
    )
    summary.value.add(tag=tag, metadata=_HISTOGRAM, tensor=tensor)


@functools.cache  # histograms are all of the same size
def _shape(sizes):
    dimension = tensor_shape_pb2.TensorShapeProto.Dim
    return tensor_shape_pb2.TensorShapeProto(dim=[dimension(size=n) for n in sizes])


def _add_text(summary, tag, markdown):
    # An empty display name makes TensorBoard show the tag.
    metadata = text_metadata.create_summary_metadata("", "")
    _add_bytes(summary, tag, metadata, markdown.encode())


def _add_bytes(summary, tag, metadata, content):
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[content])
    tensor.tensor_shape.SetInParent()
    summary.value.add(tag=tag, metadata=metadata, tensor=tensor)
