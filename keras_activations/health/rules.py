"""Rules: pure functions of a window and a small explicit state, giving findings.

A rule never sees a tensor or a model. `judge(window, state)` returns its findings
and the next state; the first state is None. An illness is reported once, for the
first ill layer in execution order, and again only after that layer has recovered.
"""

import math
import statistics
from typing import NamedTuple

import numpy as np

from keras_activations.health.finding import Finding


class Streaks(NamedTuple):
    """What a rule remembers.

    Attributes:
        ill: dict of layer path to consecutive windows in which it was ill.
        reported: paths of the layers that a finding has been given for.
    """

    ill: dict
    reported: frozenset


class NonFinite:
    """NaN or infinite values in an output, the loss or a gradient.

    Judged after every step, on exact counts, at once: patience 0, threshold 0.
    `judge` never finds anything in a window; `judge_fault` judges a step.
    """

    name = "nonfinite"

    def thresholds(self):
        return {"NaN or Inf values": 0}

    def judge(self, window, state):
        return [], state

    def judge_fault(self, fault, layer, epoch, between=()):
        """The finding for the first place in a step that was not finite.

        Args:
            fault: a `telemetry.readout.Fault`.
            layer: path of the layer the fault belongs to.
            epoch: epoch of the step.
            between: for a gradient, paths of the layers between this one and the
                next whose gradient was finite.
        """
        return Finding(
            step=fault.step,
            epoch=epoch,
            layer=layer,
            rule=self.name,
            value=float(fault.nan_count + fault.inf_count),
            threshold=0.0,
            action="",
            message=_nonfinite_message(fault, between),
        )


class Saturation:
    """Too many outputs on a flat, bounded side of the activation.

    Outputs of the model are left out: a classifier that is sure of itself is
    saturated there, and rightly so.

    Args:
        threshold: float in (0, 1], share of saturated outputs that is too much.
            Defaults to 0.5.
        patience: int >= 1, consecutive windows before it is a finding.
            Defaults to 3.
    """

    name = "saturation"

    def __init__(self, threshold=0.5, patience=3):
        self.threshold = _share("threshold", threshold)
        self.patience = _patience(patience)

    def thresholds(self):
        return {"saturated share": self.threshold, "windows": self.patience}

    def judge(self, window, state):
        ill = {
            path: stats.saturation
            for path, stats in window.layers.items()
            if stats.saturation is not None
            and not stats.is_output
            and stats.saturation > self.threshold
        }
        return _report(self, window, state, ill, self.threshold, self._message)

    def _message(self, stats, value):
        return (
            f"{value:.0%} of the outputs are saturated, so almost no gradient passes "
            f"the {stats.activation}: scale the inputs, start from smaller weights, "
            "normalise before this layer or lower the learning rate."
        )


class DeadUnits:
    """Too many units at the floor of their activation for every input.

    A unit counts once it was dead in `patience` windows running.

    Args:
        threshold: float in (0, 1], share of dead units that is too much.
            Defaults to 0.5.
        patience: int >= 1, consecutive windows. Defaults to 3.
    """

    name = "dead_units"

    def __init__(self, threshold=0.5, patience=3):
        self.threshold = _share("threshold", threshold)
        self.patience = _patience(patience)

    def thresholds(self):
        return {"dead share": self.threshold, "windows": self.patience}

    def judge(self, window, state):
        streaks, reported = state or Streaks({}, frozenset())
        lengths, ill = {}, {}
        for path, stats in window.layers.items():
            if stats.dead is None:
                continue
            length = np.where(stats.dead, streaks.get(path, 0) + 1, 0)
            lengths[path] = length
            share = float(np.mean(length >= self.patience))
            if share > self.threshold:
                ill[path] = share
        findings = _findings(self, window, ill, reported, self.threshold, self._message)
        return findings, Streaks(lengths, frozenset(ill))

    def _message(self, stats, value):
        return (
            f"{value:.0%} of its {stats.units} units have been at zero for every input "
            "and no longer learn: lower the learning rate, check for large negative "
            "biases, or use an activation that is not flat there."
        )


class VanishingGradient:
    """A layer's gradient is lost beside that of the layer with the greatest one.

    Args:
        ratio: float in (0, 1), the layer's gradient norm over the greatest of all
            layers below which it is lost. Defaults to 1e-4.
        patience: int >= 1, consecutive windows before it is a finding.
            Defaults to 3.
    """

    name = "vanishing_gradient"

    def __init__(self, ratio=1e-4, patience=3):
        self.ratio = _share("ratio", ratio)
        self.patience = _patience(patience)

    def thresholds(self):
        return {"gradient ratio": self.ratio, "windows": self.patience}

    def judge(self, window, state):
        norms = _gradient_norms(window)
        greatest = max(norms.values(), default=0.0)
        ill = {}
        if greatest > 0 and math.isfinite(greatest):
            ill = {
                path: norm / greatest
                for path, norm in norms.items()
                if norm < self.ratio * greatest
            }
        return _report(self, window, state, ill, self.ratio, self._message)

    def _message(self, stats, value):
        return (
            f"its gradient is {value:.1e} of the greatest layer's, so it hardly "
            "learns: use ReLU-like activations, larger initial weights, normalisation "
            "or skip connections."
        )


class ExplodingGradient:
    """The gradient leaps far above what this run has shown, or any sane size.

    Args:
        factor: float > 1, how many times the median norm of the last windows is
            too much. Defaults to 100.
        floor: float > 0, a norm below which nothing is an explosion.
            Defaults to 100.
        limit: float > 0, a norm that is always one. Defaults to 1e8.
        history: int >= 3, windows remembered. Defaults to 20.
    """

    name = "exploding_gradient"

    def __init__(self, factor=100.0, floor=100.0, limit=1e8, history=20):
        for option, value, least in (
            ("factor", factor, 1),
            ("floor", floor, 0),
            ("limit", limit, 0),
        ):
            if not (value > least and math.isfinite(value)):
                raise ValueError(
                    f"`{option}` must be a finite number greater than {least}. "
                    f"Received: {option}={value}"
                )
        if history < 3:
            raise ValueError(f"`history` must be >= 3. Received: history={history}")
        self.factor = float(factor)
        self.floor = float(floor)
        self.limit = float(limit)
        self.history = int(history)

    def thresholds(self):
        return {
            "times the usual norm": self.factor,
            "and above": self.floor,
            "or above": self.limit,
        }

    def judge(self, window, state):
        norms = _gradient_norms(window)
        past, reported = state or ((), False)
        if not norms:
            return [], (past, reported)
        value = math.hypot(*norms.values())
        threshold = self._threshold(past)
        if not value > threshold:
            return [], ((*past, value)[-self.history :], False)
        if reported:
            return [], (past, True)
        return [self._explosion(window, norms, threshold)], (past, True)

    def judge_dropped(self, window, state):
        """Judges a window in which an update was held back for its size.

        Every such update is a finding; the window does not count as history.
        """
        norms = _gradient_norms(window)
        past, _ = state or ((), False)
        if not norms:
            return [], (past, True)
        return [self._explosion(window, norms, self._threshold(past))], (past, True)

    def _threshold(self, past):
        if len(past) < 3:
            return self.limit
        usual = max(self.factor * statistics.median(past), self.floor)
        return min(usual, self.limit)

    def _explosion(self, window, norms, threshold):
        value = math.hypot(*norms.values())
        message = (
            f"the gradient norm of all layers together is {value:.1e}, the greatest "
            f"share of it here, where {threshold:.1e} is the limit: lower the learning "
            "rate, clip gradients (`global_clipnorm`) or scale the targets."
        )
        worst = max(norms, key=norms.get)
        return _finding(self, window, worst, value, threshold, message)


def default_rules():
    """The five rules with their default thresholds."""
    return [
        NonFinite(),
        Saturation(),
        DeadUnits(),
        VanishingGradient(),
        ExplodingGradient(),
    ]


def _report(rule, window, state, ill, threshold, message):
    streaks, reported = state or Streaks({}, frozenset())
    lengths = {path: streaks.get(path, 0) + 1 for path in ill}
    # Not measured in this window is not recovered.
    lengths |= {p: n for p, n in streaks.items() if p not in window.layers}
    due = {path: v for path, v in ill.items() if lengths[path] >= rule.patience}
    findings = _findings(rule, window, due, reported, threshold, message)
    return findings, Streaks(lengths, frozenset(due))


def _findings(rule, window, ill, reported, threshold, message):
    new = [path for path in ill if path not in reported]
    if not new:
        return []
    root = new[0]
    text = message(window.layers[root], ill[root])
    if len(new) > 1:
        text += f" So are {len(new) - 1} more layers: {', '.join(new[1:4])}"
        text += ", ..." if len(new) > 4 else "."
    return [_finding(rule, window, root, ill[root], threshold, text)]


def _finding(rule, window, layer, value, threshold, message):
    return Finding(
        step=window.step,
        epoch=window.epoch,
        layer=layer,
        rule=rule.name,
        value=float(value),
        threshold=float(threshold),
        action="",
        message=message,
    )


def _gradient_norms(window):
    """Norms of the gradients; those that are not finite are another rule's."""
    return {
        path: stats.gradient_norm
        for path, stats in window.layers.items()
        if stats.gradient_norm is not None
        and not any(w.gradient_nan_count or w.gradient_inf_count for w in stats.weights)
    }


def _nonfinite_message(fault, between):
    kinds = [("NaN", fault.nan_count), ("infinite", fault.inf_count)]
    what = " and ".join(f"{count} {kind}" for kind, count in kinds if count)
    place = {
        "output": "the output has",
        "loss": "every output is finite, but the loss has",
        "gradient": f"the gradient of {fault.path} has",
        "batch": "the batch has",
    }[fault.where]
    text = f"{place} {what} value{'s' if fault.nan_count + fault.inf_count != 1 else ''}"
    if fault.batch_count:
        return (
            f"{text}, and the batch itself already holds {fault.batch_count}: look "
            "for missing values in the data."
        )
    if fault.where == "gradient":
        if between:
            text += (
                f", while every output is finite: it arises between here and "
                f"{between[-1]}"
            )
            inner = between[:-1]
            if inner:
                text += f" (look at {', '.join(inner)})"
        return (
            f"{text}; look there for a square root, logarithm or division at 0, "
            "and add a small constant to it."
        )
    if fault.where == "loss":
        return (
            f"{text}: look for the logarithm of 0 or targets that are not finite, "
            "and let the loss take logits."
        )
    return (
        f"{text}, the first place in the step that is not finite: lower the learning "
        "rate, scale the inputs, or look for an overflow, a logarithm or a division "
        "by 0 in this layer."
    )


def _share(name, value):
    if not 0 < value <= 1:
        raise ValueError(f"`{name}` must lie in (0, 1]. Received: {name}={value}")
    return float(value)


def _patience(value):
    if value < 1 or value != int(value):
        raise ValueError(f"`patience` must be an integer >= 1. Received: {value}")
    return int(value)
