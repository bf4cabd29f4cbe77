"""How rules wait, report once, and check their options."""

from typing import NamedTuple

from keras_activations.health.finding import Finding


class Streaks(NamedTuple):
    """What a rule remembers.

    Attributes:
        ill: dict of layer path to consecutive windows in which it was ill.
        reported: paths of the layers that a finding has been given for.
    """

    ill: dict
    reported: frozenset


def report(rule, window, state, ill, threshold, message):
    streaks, reported = state or Streaks({}, frozenset())
    lengths = {path: streaks.get(path, 0) + 1 for path in ill}
    # Not measured in this window is not recovered.
    lengths |= {p: n for p, n in streaks.items() if p not in window.layers}
    due = {path: v for path, v in ill.items() if lengths[path] >= rule.patience}
    findings = new_findings(rule, window, due, reported, threshold, message)
    return findings, Streaks(lengths, frozenset(due))


def new_findings(rule, window, ill, reported, threshold, message):
    new = [path for path in ill if path not in reported]
    if not new:
        return []
    root = new[0]
    text = message(window.layers[root], ill[root])
    if len(new) > 1:
        others = "one more layer" if len(new) == 2 else f"{len(new) - 1} more layers"
        text += f" The same holds for {others}: {', '.join(new[1:4])}"
        text += ", ..." if len(new) > 4 else "."
    return [finding_at(rule, window, root, ill[root], threshold, text)]


def finding_at(rule, window, layer, value, threshold, message):
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


def check_share(name, value):
    if not 0 < value <= 1:
        raise ValueError(f"`{name}` must lie in (0, 1]. Received: {name}={value}")
    return float(value)


def check_patience(value):
    if value < 1 or value != int(value):
        raise ValueError(f"`patience` must be an integer >= 1. Received: {value}")
    return int(value)
