"""Made-up windows for a rule to judge."""

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


def run(rule, windows):
    """The findings of each window, as lists of layers, and all findings."""
    state, found = None, []
    for step, layers in enumerate(windows, start=1):
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
