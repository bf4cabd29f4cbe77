"""The report a person reads: one row a layer, worst first, and the findings."""

import io
import textwrap

from rich.console import Console, Group
from rich.text import Text

from keras_activations.writers.table import layer_tables

_LEAST_WIDTH = 72

_LEGEND = (
    "saturated: outputs on a flat side of the activation, where learning stalls",
    "zeros: outputs exactly zero, which is usual for ReLU",
    "dead units: units at their floor for every sample of the window",
    "update ratio: last update relative to the weights, often near 0.001",
    "-: does not apply or was not measured",
)


def render_report(stats, findings=(), *, width=100):
    """The closing report as plain text.

    Args:
        stats: dict of layer path to `LayerStats`, e.g. `Window.layers`.
        findings: sequence of `Finding`.
        width: characters in a line, at least 72. Where one table does not
            fit, two are made: health, then outputs.

    Returns:
        str without colours and without trailing blanks.

    Example:

    >>> print(render_report({}, [], width=72))
    Activations: no window was measured. Either training ended before the
    first one, or no layer was selected.
    <BLANKLINE>
    No findings.
    """
    width = max(width, _LEAST_WIDTH)
    page = io.StringIO()
    # Each setting that rich would otherwise take from the surroundings
    # (terminal, notebook, Windows console) is given.
    console = Console(
        file=page,
        width=width,
        color_system=None,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(_report(stats, findings, width))
    lines = page.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines).rstrip()


def print_report(stats, findings=(), *, rows=20, console=None):
    """Prints the closing report, with colours where they can be shown.

    Args:
        stats: dict of layer path to `LayerStats`, e.g. `Window.layers`.
        findings: sequence of `Finding`.
        rows: at most so many layers and findings are shown. Layers that are
            ill are always shown.
        console: `rich.console.Console`; standard output by default.
    """
    console = console or Console()
    width = max(console.width, _LEAST_WIDTH)
    try:
        console.print(_report(stats, findings, width, rows), width=width)
    except UnicodeEncodeError:
        # A path or message has a character that this output cannot show.
        text = render_report(stats, findings, width=width)
        console.file.write(text.encode("ascii", "backslashreplace").decode() + "\n")


def _report(stats, findings, width, rows=None):
    blamed = {finding.layer for finding in findings}
    ranked = sorted(stats.values(), key=lambda layer: _rank(layer, blamed))
    ill = sum(bool(_style(layer, blamed)) for layer in ranked)
    shown = ranked if rows is None else ranked[: max(rows, ill)]
    parts = [Text(_headline(len(ranked), ill, width), style="bold"), Text()]
    if shown:
        styles = [_style(layer, blamed) for layer in shown]
        for table in layer_tables(shown, styles, width):
            parts += [table, Text()]
        if len(shown) < len(ranked):
            parts += [Text(f"and {len(ranked) - len(shown)} more, all healthier\n")]
        parts += [Text(line, style="dim") for line in _LEGEND] + [Text()]
    return Group(*parts, *_sentences(findings, width, rows))


def _headline(layers, ill, width):
    if not layers:
        text = (
            "Activations: no window was measured. Either training ended before "
            "the first one, or no layer was selected."
        )
        return textwrap.fill(text, width)
    noun = "layer" if layers == 1 else "layers"
    attention = f"{ill} to look at (!)" if ill else "nothing found"
    return f"Activations of {layers} {noun}, worst first: {attention}"


def _rank(layer, blamed):
    """Sort key: the less, the worse. Equals stay in execution order.

    Among layers with NaN or Inf, and without a finding to tell them apart, the
    first one executed is the likeliest origin: counts do not rank them.
    """
    healthy = layer.path not in blamed
    if _nonfinite(layer):
        return (False, healthy)
    dead = layer.dead_units / layer.units if layer.dead_units else 0.0
    return (True, healthy, -(layer.saturation or 0.0), -dead)


def _style(layer, blamed):
    """Style of an ill layer's row, empty for a healthy one."""
    if _nonfinite(layer):
        return "bold red"
    return "yellow" if layer.path in blamed else ""


def _nonfinite(layer):
    gradients = sum(w.gradient_nan_count + w.gradient_inf_count for w in layer.weights)
    return layer.nan_count + layer.inf_count + gradients > 0


def _sentences(findings, width, rows):
    if not findings:
        return [Text("No findings.", style="green")]
    parts = [Text(f"Findings ({len(findings)})", style="bold")]
    for finding in findings[:rows]:
        head = f"step {finding.step}, {finding.layer}: {finding.rule}"
        known = "" if finding.cause == "unknown" else f"cause: {finding.cause}, "
        parts.append(Text(f"{head} ({known}action: {finding.action})"))
        parts.append(
            Text(
                textwrap.fill(
                    " ".join(finding.message.split()),
                    width,
                    initial_indent="    ",
                    subsequent_indent="    ",
                    # A path broken in two could not be searched for.
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        )
    if rows is not None and len(findings) > rows:
        parts.append(Text(f"and {len(findings) - rows} more"))
    return parts
