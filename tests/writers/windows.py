"""Made-up windows and findings, written and read back."""

import numpy as np

from keras_activations.health.finding import Finding
from keras_activations.telemetry.stats import Histogram, LayerStats, WeightStats, Window
from keras_activations.writers.tensorboard import TensorBoardWriter
from tests.board import Board


def make_layer(path="model/hidden", **changes):
    values = {
        "path": path,
        "activation": "tanh",
        "count": 6,
        "mean": 0.25,
        "std": 0.5,
        "min": -1.0,
        "max": 1.0,
        "saturation_low": 0.25,
        "saturation_high": 0.5,
        "zero_fraction": 0.125,
        "units": 4,
        "dead": np.array([True, False, False, False]),
        "nan_count": 2,
        "inf_count": 1,
        "histogram": Histogram(np.linspace(-1, 1, 4), np.array([1, 2, 3])),
        "weights": (
            WeightStats(f"{path}/kernel", 3.0, 0, 0, 6.0, 0.5),
            WeightStats(f"{path}/bias", 4.0, 5, 2, 8.0, 0.25),
        ),
    }
    return LayerStats(**{**values, **changes})


def make_window(step=1, *layers):
    layers = layers or (make_layer(),)
    return Window(step, 0, 1, {layer.path: layer for layer in layers})


def make_finding(step=7, layer="model/hidden", rule="saturation", message="Too flat."):
    return Finding(step, 2, layer, rule, 0.75, 0.5, "warn", message)


def write(log_dir, *windows, findings=(), description=None):
    with TensorBoardWriter(log_dir) as writer:
        if description:
            writer.write_description(description)
        for window in windows:
            writer.write_window(window)
        writer.write_findings(findings)
    return Board(log_dir)
