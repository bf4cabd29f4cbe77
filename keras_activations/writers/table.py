"""The layers as a table for a page of given width."""

from rich.box import Box
from rich.table import Table
from rich.text import Text

from keras_activations.writers.formatting import count, number, percent, shorten

# Only ASCII, so that the report survives any log file and any code page.
_RULED = Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)
_LEAST_PATH = 20
_LONGEST_NAME = 13

# Heading, and whether it describes health or the distribution of the outputs:
# a page too narrow for one table gets one of each.
_COLUMNS = (
    ("activation", "both"),
    ("mean", "outputs"),
    ("std", "outputs"),
    ("min", "outputs"),
    ("max", "outputs"),
    ("satur-\nated %", "health"),
    ("zeros\n%", "health"),
    ("dead\nunits", "health"),
    ("NaN", "health"),
    ("Inf", "health"),
    ("gradient\nnorm", "health"),
    ("update\nratio", "health"),
)


def layer_tables(layers, styles, width):
    """One table with all columns, or two where the page is too narrow.

    Args:
        layers: sequence of `LayerStats`, not empty.
        styles: rich style of each layer's row; an empty one is a healthy layer.
        width: characters in a line.

    Returns:
        list of `rich.table.Table`, one row a layer, in the order of `layers`.
    """
    cells = [_cells(layer) for layer in layers]
    everything = list(range(len(_COLUMNS)))
    longest = max(len(layer.path) for layer in layers)
    groups = [everything]
    if _room(cells, everything, width, gap=1) < min(longest, _LEAST_PATH):
        groups = [
            [i for i in everything if _COLUMNS[i][1] in (kind, "both")]
            for kind in ("health", "outputs")
        ]
    # One gap for all tables, so that they look alike.
    roomy = all(_room(cells, chosen, width, gap=2) >= longest for chosen in groups)
    gap = 2 if roomy else 1
    return [_table(layers, cells, chosen, styles, width, gap) for chosen in groups]


def _table(layers, cells, chosen, styles, width, gap):
    room = _room(cells, chosen, width, gap)
    paths = shorten([layer.path for layer in layers], room)
    # The box itself puts one blank between columns.
    padding = (0, gap - 1, 0, 0)
    table = Table(box=_RULED, padding=padding, pad_edge=False, show_edge=False)
    table.add_column(" ", no_wrap=True)
    table.add_column("layer", no_wrap=True, vertical="bottom")
    for i in chosen:
        heading, kind = _COLUMNS[i]
        # Names from the left, numbers from the right.
        table.add_column(
            heading, no_wrap=True, justify="left" if kind == "both" else "right"
        )
    for path, row, style in zip(paths, cells, styles, strict=True):
        # `Text` keeps a path with brackets from being read as rich's markup.
        texts = ["!" if style else "", path, *(row[i] for i in chosen)]
        table.add_row(*map(Text, texts), style=style)
    return table


def _room(cells, chosen, width, gap):
    """Characters left for the paths beside the mark and these columns."""
    taken = 1 + gap
    for i in chosen:
        heading = max(map(len, _COLUMNS[i][0].split("\n")))
        taken += gap + max(heading, *(len(row[i]) for row in cells))
    return width - taken


def _cells(layer):
    """The texts of one layer, in the order of `_COLUMNS`."""
    dead = "-" if layer.dead is None else f"{layer.dead_units}/{layer.units}"
    return (
        shorten([layer.activation or "-"], _LONGEST_NAME)[0],
        number(layer.mean),
        number(layer.std),
        number(layer.min),
        number(layer.max),
        percent(layer.saturation),
        percent(layer.zero_fraction),
        dead,
        count(layer.nan_count),
        count(layer.inf_count),
        _gradient(layer),
        number(layer.update_ratio),
    )


def _gradient(layer):
    """The norm, unless entries of the gradient were NaN or infinite."""
    if any(weight.gradient_nan_count for weight in layer.weights):
        return "NaN"
    if any(weight.gradient_inf_count for weight in layer.weights):
        return "Inf"
    return number(layer.gradient_norm)
