"""The texts TensorBoard shows: what was monitored, and what was found.

TensorBoard renders Markdown with tables and escapes raw HTML.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

# Characters that mean something to Markdown anywhere in a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]|])")


@dataclasses.dataclass(frozen=True)
class RunDescription:
    """What a run monitors, said once at its start.

    Attributes:
        layers: pairs of a layer's `path` and the name of its activation, or
            None where it has none.
        rules: triples of a rule's name, its action, and a dict of threshold
            name to value.
        versions: dict of package name to version.
        metadata: the user's own dict, e.g. model version, commit, data set.

    Example:

    >>> RunDescription(
    ...     layers=[("sequential/dense", "tanh")],
    ...     rules=[("saturation", "warn", {"max_share": 0.5})],
    ...     versions={"keras": "3.15.1"},
    ...     metadata={"commit": "1a2b3c"},
    ... ).layers
    [('sequential/dense', 'tanh')]
    """

    layers: Sequence[tuple[str, str | None]] = ()
    rules: Sequence[tuple[str, str, Mapping]] = ()
    versions: Mapping = dataclasses.field(default_factory=dict)
    metadata: Mapping = dataclasses.field(default_factory=dict)


def check_metadata(metadata):
    """The user's metadata as a dict of its own; None stands for none.

    Raises:
        ValueError: unless keys and values are str.
    """
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(
        isinstance(item, str) for pair in metadata.items() for item in pair
    ):
        raise ValueError(
            f"`metadata` must be a dict of str to str. Received: metadata={metadata!r}"
        )
    return dict(metadata)


def describe_run(description, glossary=()):
    """Markdown that says what is monitored, and how to read the charts.

    Args:
        description: a `RunDescription`.
        glossary: pairs of a tag and what it means.

    Returns:
        str, Markdown.

    Example:

    >>> print(describe_run(RunDescription(metadata={"data": "a|b"})))
    # What was monitored
    <BLANKLINE>
    ## Metadata
    <BLANKLINE>
    | key | value |
    | --- | --- |
    | data | a\\|b |
    """
    layers = [(code(path), escape(name or "-")) for path, name in description.layers]
    rules = [
        (escape(rule), escape(action), escape(_pairs(thresholds)))
        for rule, action, thresholds in description.rules
    ]
    sections = [
        ("Metadata", ("key", "value"), _escaped(description.metadata)),
        ("Rules", ("rule", "action", "thresholds"), rules),
        (f"Layers ({len(layers)})", ("layer", "activation"), layers),
        ("Versions", ("package", "version"), _escaped(description.versions)),
        (
            "How to read the charts",
            ("tag", "meaning"),
            [(code(tag), escape(meaning)) for tag, meaning in glossary],
        ),
    ]
    parts = ["# What was monitored"]
    for title, header, rows in sections:
        if rows:
            parts += [f"## {title}", table(header, rows)]
    return "\n\n".join(parts)


def describe_findings(findings):
    """Markdown table of findings, one row each.

    Args:
        findings: sequence of `Finding`.

    Returns:
        str, Markdown. There is a column of probable causes where any is known.
    """
    columns = [
        ("step", [str(found.step) for found in findings]),
        ("epoch", [str(found.epoch) for found in findings]),
        ("layer", [code(found.layer) for found in findings]),
        ("value", [f"{found.value:.4g}" for found in findings]),
        ("threshold", [f"{found.threshold:.4g}" for found in findings]),
        ("action", [escape(found.action) for found in findings]),
    ]
    if any(found.cause != "unknown" for found in findings):
        causes = [escape(found.cause.replace("_", " ")) for found in findings]
        columns.append(("probable cause", causes))
    columns.append(("finding", [escape(found.message) for found in findings]))
    header = [title for title, _ in columns]
    return table(header, list(zip(*(cells for _, cells in columns), strict=True)))


def table(header, rows):
    """A Markdown table; the cells must be Markdown without line breaks."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(value):
    r"""Any value as one line of Markdown that reads as it was written.

    Args:
        value: anything; what is not a string is shown by `str`.

    Returns:
        str without line breaks, with Markdown's own characters escaped.

    Example:

    >>> print(escape("a|b\nc*d"))
    a\|b c\*d
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def code(value):
    """A value in code type, or escaped where its own backticks forbid that."""
    text = " ".join(str(value).split())
    return escape(text) if not text or "`" in text or "|" in text else f"`{text}`"


def _escaped(mapping):
    return [(escape(key), escape(value)) for key, value in mapping.items()]


def _pairs(mapping):
    return ", ".join(f"{key} = {value}" for key, value in mapping.items()) or "-"
