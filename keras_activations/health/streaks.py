"""How rules wait, report once, and check their options."""

from typing import NamedTuple

from keras_activations.health.finding import Finding

# An extreme value is believed at second sight, given that so many steps lie between:
# windows may be close together, and the state a passing one.
SECOND_SIGHT = 30
# A layer of which the ill share shrank by a tenth within so many windows is on its way
# to recovery: it is waited for.
SHRINKING = 0.9
RECENT = 3


class Spell(NamedTuple):
    """The windows running in which a layer has been ill.

    Attributes:
        since: step of the first of them.
        values: what was measured in the last ones.
    """

    since: int
    values: tuple[float, ...] = ()

    @property
    def shrinking(self):
        """Whether the values have become clearly less."""
        return self.values[-1] < SHRINKING * self.values[0]

    def certain(self, extreme, step):
        """Whether the values are beyond doubt, and have been for long enough.

        Args:
            extreme: callable `value -> bool`.
            step: of the last window.
        """
        return step - self.since >= SECOND_SIGHT and all(map(extreme, self.values))


class Streaks(NamedTuple):
    """What a rule remembers.

    Attributes:
        ill: dict of layer path to consecutive windows in which it was ill, or in
            which each of its units was.
        reported: paths of the layers that a finding has been given for.
        spells: dict of layer path to the `Spell` it is in.
    """

    ill: dict = {}
    reported: frozenset = frozenset()
    spells: dict = {}


def spells_after(spells, window, measured, ill):
    """The spells after a window.

    Args:
        spells: dict of path to `Spell`.
        measured: paths measured in this window; a layer that was not has neither
            recovered nor grown worse.
        ill: dict of path to value of the layers ill in it.
    """
    after = {path: spell for path, spell in spells.items() if path not in measured}
    for path, value in ill.items():
        spell = spells.get(path, Spell(window.step))
        after[path] = Spell(spell.since, (*spell.values, value)[-RECENT:])
    return after


def report(rule, window, state, measured, ill, message, at_once=frozenset()):
    """Findings for layers ill in enough windows running, and the new state.

    Args:
        rule: has a `threshold`, a `patience` and the methods `extreme(value)` and
            `recovering(spell)`.
        measured: paths measured in this window.
        ill: dict of path to value of the layers ill in this window, in order.
        message: callable `(stats, value)` that gives what is seen, and advice.
        at_once: paths of those of them that are not waited for.
    """
    streaks, reported, spells = state or Streaks()
    lengths = {path: n for path, n in streaks.items() if path not in measured}
    lengths |= {path: streaks.get(path, 0) + 1 for path in ill}
    spells = spells_after(spells, window, measured, ill)
    due = {
        path
        for path in ill
        if path in at_once
        or (lengths[path] >= rule.patience and not rule.recovering(spells[path]))
        or spells[path].certain(rule.extreme, window.step)
    }
    findings, reported = found(rule, window, ill, due, reported, measured, message)
    return findings, Streaks(lengths, reported, spells)


def found(rule, window, ill, due, reported, measured, message):
    """At most one finding, and the layers reported after it.

    The finding is for the first ill layer, naming the others: as soon as one of them
    has been ill for long enough the ones before it are no longer waited for, for it
    may be ill because of them.

    Args:
        ill: dict of path to value of the layers ill in this window, in order.
        due: those of them that have been ill for long enough.
        reported: paths reported before.
        measured: paths that were measured in this window.
    """
    # Not measured is neither well nor ill.
    reported = frozenset(
        path for path in reported if path in ill or path not in measured
    )
    if not due - reported:
        return [], reported
    new = [path for path in ill if path not in reported]
    seen, advice = message(window.layers[new[0]], ill[new[0]])
    text = f"{seen}: {advice}"
    if len(new) > 1:
        others = "one more layer" if len(new) == 2 else f"{len(new) - 1} more layers"
        names = ", ".join(new[1:4]) + (", ..." if len(new) > 4 else "")
        text = f"{text}; the same holds for {others}: {names}"
    text += "" if text.endswith(".") else "."
    finding = finding_at(
        rule, window, new[0], ill[new[0]], rule.threshold, text, advice
    )
    return [finding], reported | frozenset(ill)


def look(rule, window, first, message):
    """At most one finding, for layers that are ill in this window and were in the first.

    Args:
        rule: see `report`.
        message: likewise.
    """
    before = rule.ill(first)
    ill = {path: value for path, value in rule.ill(window).items() if path in before}
    return found(rule, window, ill, set(ill), frozenset(), ill, message)[0]


def finding_at(rule, window, layer, value, threshold, message, medicine):
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
        medicine=medicine,
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
