"""What the layers of `runs.classifier` put out, in float64 NumPy."""

import numpy as np
import pytest

LAYERS = ("hidden", "rectified", "head")


def forward(weights, x):
    """Dict of layer name to the outputs of `classifier`, in float64."""
    one, two, three = _pairs(weights)
    hidden = np.tanh(np.float64(x) @ one[0] + one[1])
    rectified = np.maximum(hidden @ two[0] + two[1], 0)
    return {
        "hidden": hidden,
        "rectified": rectified,
        "head": rectified @ three[0] + three[1],
    }


def gradient_norms(weights, x, y, sample_weight=1.0, penalty=0.0):
    """Dict of weight path to the L2 norm of its gradient, in float64.

    The loss is the mean crossentropy and `penalty` times the mean square of `head`.
    """
    outputs, (_, two, three) = forward(weights, x), _pairs(weights)
    odds = np.exp(outputs["head"])
    shares = odds / odds.sum(axis=1, keepdims=True)
    each = np.broadcast_to(sample_weight, len(x))[:, None] / len(x)
    head = (shares - np.eye(10)[y]) * each
    head += penalty * 2 * outputs["head"] / outputs["head"].size
    rectified = head @ three[0].T * (outputs["rectified"] > 0)
    hidden = rectified @ two[0].T * (1 - outputs["hidden"] ** 2)
    gradients = {
        "hidden": (np.float64(x), hidden),
        "rectified": (outputs["hidden"], rectified),
        "head": (outputs["rectified"], head),
    }
    norms = {}
    for name, (before, gradient) in gradients.items():
        norms[f"{name}/kernel"] = np.linalg.norm(before.T @ gradient)
        norms[f"{name}/bias"] = np.linalg.norm(gradient.sum(axis=0))
    return norms


def _pairs(weights):
    values = [np.float64(value) for value in weights]
    return list(zip(values[::2], values[1::2], strict=True))


# Holding statistics to it


def assert_describes(stats, values, rtol=1e-5):
    """The `LayerStats` are those of the float64 array, to the precision given."""
    slack = max(2, rtol * values.size)  # values that rounding takes over a threshold
    assert stats.count == values.size
    assert stats.units == values.shape[-1]
    close = {"rtol": rtol, "atol": rtol}
    np.testing.assert_allclose(stats.mean, values.mean(), **close)
    np.testing.assert_allclose(stats.std, values.std(), **close)
    np.testing.assert_allclose(stats.min, values.min(), **close)
    np.testing.assert_allclose(stats.max, values.max(), **close)
    zeros = stats.zero_fraction * values.size
    assert zeros == pytest.approx((values == 0).sum(), abs=slack)
    assert stats.histogram.counts.sum() == values.size
    if stats.activation == "tanh":
        flat = (1 - values**2 < 0.04).sum()  # the slope of tanh is 1 - y**2
        assert stats.saturation * values.size == pytest.approx(flat, abs=slack)
    if stats.activation == "relu":
        dead = (values <= 0).reshape(-1, values.shape[-1]).all(axis=0)
        np.testing.assert_array_equal(stats.dead, dead)


def assert_describes_steps(window, steps, rtol=1e-5, gradient_rtol=None, penalty=0.0):
    """The window is that of the given steps of `classifier`.

    Args:
        window: a `Window`.
        steps: list of weights and batch, one an element.
        rtol, gradient_rtol: precision of the outputs and of the gradients.
        penalty: see `gradient_norms`.
    """
    assert window.samples == len(steps)
    layers = by_name(window.layers)
    outputs = [forward(weights, batch[0]) for weights, batch in steps]
    norms = [gradient_norms(w, *batch, penalty=penalty) for w, batch in steps]
    for name in LAYERS:
        values = np.concatenate([output[name] for output in outputs])
        assert_describes(layers[name], values, rtol)
        for weight in layers[name].weights:
            path = "/".join(weight.path.split("/")[-2:])
            greatest = max(norm[path] for norm in norms)
            near = pytest.approx(greatest, rel=gradient_rtol or 10 * rtol)
            assert weight.gradient_norm == near, path


def by_name(layers):
    """The values of a dict by the last part of their paths."""
    return {path.split("/")[-1]: stats for path, stats in layers.items()}


def assert_describes_update(window, names, before, after):
    """Norm and relative change of the named weights, which one step took there."""
    seen = {w.path: w for stats in window.layers.values() for w in stats.weights}
    for name, old, new in zip(names, before, after, strict=True):
        old, new = np.float64(old), np.float64(new)
        assert seen[name].weight_norm == pytest.approx(np.linalg.norm(new), rel=1e-6)
        if (old != new).any() and old.any():
            ratio = np.linalg.norm(new - old) / np.linalg.norm(old)
            assert seen[name].update_ratio == pytest.approx(ratio, rel=1e-4)
        else:
            assert not seen[name].update_ratio
