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


def report(rule, window, state, values, is_ill, threshold, message):
    """Findings for layers ill in `rule.patience` windows running, and the new state.

    Args:
        values: dict of layer path to what was measured; a layer that was not measured
            in this window has neither recovered nor grown worse.
        is_ill: callable `(value) -> bool`.
        message: callable `(stats, value) -> str`.
    """
    streaks, reported = state or Streaks({}, frozenset())
    lengths = {path: n for path, n in streaks.items() if path not in values}
    ill = {path: value for path, value in values.items() if is_ill(value)}
    lengths |= {path: streaks.get(path, 0) + 1 for path in ill}
    due = {path: v for path, v in ill.items() if lengths[path] >= rule.patience}
    findings = new_findings(rule, window, due, reported, threshold, message)
    return findings, Streaks(lengths, still_reported(reported, due, values))


def still_reported(reported, ill, measured):
    """The layers that are ill, and those reported before and not measured since."""
    return frozenset(ill) | {path for path in reported if path not in measured}


def new_findings(rule, window, ill, reported, threshold, message):
    """At most one finding: for the first layer not reported yet, naming the others."""
    new = [path for path in ill if path not in reported]
    if not new:
        return []
    root = new[0]
    text = message(window.layers[root], ill[root])
    if len(new) > 1:
        others = "one more layer" if len(new) == 2 else f"{len(new) - 1} more layers"
        names = ", ".join(new[1:4]) + (", ..." if len(new) > 4 else ".")
        text = f"{text.rstrip('.')}; the same holds for {others}: {names}"
    return [finding_at(rule, window, root, ill[root], threshold, text)]


def finding_at(rule, window, layer, value, threshold, message):
    """A finding in this window; the action is filled in by the examiner."""
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
    """Returns the option as a float in (0, 1], or raises ValueError."""
    if not 0 < value <= 1:
        raise ValueError(f"`{name}` must lie in (0, 1]. Received: {name}={value}")
    return float(value)


def check_patience(value):
    """Returns the option as an int >= 1, or raises ValueError."""
    if value < 1 or value != int(value):
        raise ValueError(f"`patience` must be an integer >= 1. Received: {value}")
    return int(value)
