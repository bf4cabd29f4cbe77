"""Made-up windows for a rule to judge."""

import math

import numpy as np

from keras_activations.telemetry.stats import LayerStats, WeightStats, Window


def window(*layers, step=1):
    return Window(step, 0, 1, {stats.path: stats for stats in layers})


def saturated(path, share, low=0.0, **more):
    more = {"activation": "tanh", **more}
    return LayerStats(path, saturation_low=low, saturation_high=share - low, **more)


def dead(path, *units):
    return LayerStats(path, units=len(units), dead=np.array(units, bool))


def norms(**gradients):
    return [
        LayerStats(path, weights=(WeightStats(f"{path}/kernel", norm),))
        for path, norm in gradients.items()
    ]


def run(rule, windows, steps=None):
    """The findings of each window, as lists of layers, and all findings."""
    state, found = None, []
    steps = steps or range(1, len(windows) + 1)
    for step, layers in zip(steps, windows, strict=True):
        findings, state = rule.judge(window(*layers, step=step), state)
        found.append(findings)
    layers = [[finding.layer for finding in findings] for findings in found]
    return layers, [finding for findings in found for finding in findings]


def assert_one_sentence(finding, *advice):
    message = finding.message
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message
    for words in advice:
        assert words in message


def network(*layers, inputs=None, targets=None, loss=None, step=1):
    """A window of `kernel(...)` layers, and what its batches hold."""
    return Window(step, 0, 1, {s.path: s for s in layers}, inputs, targets, loss)


def kernel(
    path, size=0.7, shape=(50, 50), update=1e-3, bias=0.0, grads=(), alike=0.0, **more
):
    """A layer with a kernel and a bias.

    Args:
        size: of the kernel, 1 being what He's initialiser gives.
        update: the kernel's `update_ratio`.
        bias: root mean square of the bias.
        alike: the kernel's `mean_ratio`.
        grads: gradient norms of kernel and bias; when empty those of inputs of size 1.
    """
    grads = grads or (math.sqrt(math.prod(shape[:-1])), 1.0)
    before = size * math.sqrt(2 / math.prod(shape[:-1]) * math.prod(shape))
    weights = (
        WeightStats(
            f"{path}/kernel",
            grads[0],
            weight_norm=before * math.hypot(1, update),
            update_ratio=update,
            mean_ratio=alike,
            shape=shape,
        ),
        WeightStats(
            f"{path}/bias",
            grads[1],
            weight_norm=bias * math.sqrt(shape[-1]),
            shape=shape[-1:],
        ),
    )
    return LayerStats(path, weights=weights, **more)
