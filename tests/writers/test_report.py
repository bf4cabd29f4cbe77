import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from keras_activations.health.finding import Finding
from keras_activations.telemetry.stats import LayerStats, WeightStats
from keras_activations.writers.report import print_report, render_report

PATHS = {
    "healthy": "transformer/block_0/mha/query",
    "other": "transformer/block_1/mha/query",
    "dead": "sequential/dense_3",
    "flat": "sequential/dense_2",
    "blamed": "sequential/dense_1",
    "late_nan": "sequential/dense",
    "nan_gradient": "sequential/conv2d",
}


def make_layer(path, *, dead=0, gradient=(0.5, 0, 0), **changes):
    norm, nan, inf = gradient
    values = {
        "path": path,
        "activation": "tanh",
        "count": 4096,
        "mean": -0.0123,
        "std": 0.48,
        "min": -0.99,
        "max": 0.991,
        "saturation_low": 0.0,
        "saturation_high": 0.0,
        "zero_fraction": 0.25,
        "units": 128,
        "dead": np.arange(changes.get("units", 128)) < dead,
        "weights": (WeightStats(f"{path}/kernel", norm, nan, inf, 3.0, 0.0021),),
    }
    return LayerStats(**{**values, **changes})


def make_finding(step=1200, layer="sequential/dense_1", message="It is ill."):
    return Finding(step, 3, layer, "saturation", 0.9, 0.5, "warn", message)


@pytest.fixture
def stats():
    layers = [
        make_layer(PATHS["healthy"]),
        make_layer(PATHS["other"]),
        make_layer(PATHS["dead"], dead=90),
        make_layer(PATHS["flat"], saturation_high=0.3),
        make_layer(PATHS["blamed"], saturation_low=0.1),
        make_layer(PATHS["nan_gradient"], gradient=(float("nan"), 3, 1)),
        make_layer(PATHS["late_nan"], nan_count=10, inf_count=819200),
    ]
    return {layer.path: layer for layer in layers}


def rows_of(text):
    """The rows of each table, as lists of words."""
    tables = []
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line and not line.strip("-"):
            rows = lines[i + 1 : lines.index("", i)]
            tables.append([row.lstrip(" !").split() for row in rows])
    return tables


def test_worst_first(stats):
    [table] = rows_of(render_report(stats, [make_finding()], width=150))

    order = ["nan_gradient", "late_nan", "blamed", "flat", "dead", "healthy", "other"]
    assert [row[0] for row in table] == [PATHS[name] for name in order]


def test_a_row_shows_every_measure():
    layer = make_layer("dense", saturation_high=0.034, dead=12, nan_count=7)

    [[row]] = rows_of(render_report({"dense": layer}, width=150))

    assert row == [
        *("dense", "tanh", "-0.012", "0.480", "-0.990", "0.991"),
        *("3.4", "25.0", "12/128", "7", "0", "0.500", "0.0021"),
    ]


def test_what_does_not_apply_is_a_dash():
    [[row]] = rows_of(render_report({"dense": LayerStats("dense")}, width=150))

    assert row == ["dense", *["-"] * 8, "0", "0", "-", "-"]


@pytest.mark.parametrize(
    ("gradient", "text"), [((1.0, 2, 3), "NaN"), ((1.0, 0, 3), "Inf")]
)
def test_a_nonfinite_gradient_is_not_hidden_by_its_norm(gradient, text):
    layer = make_layer("dense", gradient=gradient)

    [[row]] = rows_of(render_report({"dense": layer}, width=150))

    assert row[-2] == text


def test_fits_the_page_with_each_layer_once_a_table(stats):
    findings = [make_finding(message="A long sentence that goes on. " * 9)]
    for width in (10, 72, 80, 100, 120, 200):
        text = render_report(stats, findings, width=width)
        assert max(map(len, text.split("\n"))) <= max(width, 72)
        assert text.isascii()
        assert not any(line.endswith(" ") for line in text.split("\n"))
        tables = rows_of(text)
        assert len(tables) == (2 if width < 110 else 1)
        for table in tables:
            assert len({row[0] for row in table}) == len(stats)


def test_fits_the_page_with_long_names_and_great_counts():
    layers = [
        make_layer(
            f"functional/very_long_name_of_a_sub_model_{i}/another_level/dense",
            activation="a_custom_activation_function",
            units=65536,
            dead=65536,
            nan_count=10**12,
            inf_count=10**12,
            mean=-1.5e-12,
            min=-3.4e38,
        )
        for i in range(3)
    ]
    text = render_report({layer.path: layer for layer in layers}, width=80)

    assert max(map(len, text.split("\n"))) <= 80
    health, outputs = rows_of(text)
    assert all("65536/65536" in row for row in health)
    assert len({row[0] for row in outputs}) == 3


def test_ill_layers_are_marked(stats):
    text = render_report(stats, [make_finding()])

    assert "7 layers, worst first: 3 to look at (!)" in text
    health = text.split("\n\n")[1]
    assert sum(line.startswith("!") for line in health.split("\n")) == 3


def test_findings_are_told_in_full():
    findings = [
        make_finding(message="Its outputs lie\nwhere tanh is flat."),
        make_finding(1300, "a/b", "Try a smaller learning rate."),
    ]
    text = render_report({}, findings)

    assert text.endswith(
        "Findings (2)\n"
        "step 1200, sequential/dense_1: saturation (action: warn)\n"
        "    Its outputs lie where tanh is flat.\n"
        "step 1300, a/b: saturation (action: warn)\n"
        "    Try a smaller learning rate."
    )


def test_nothing_to_tell_is_said():
    text = render_report({})
    assert "no window was measured" in text
    assert text.endswith("No findings.")
    assert render_report({"dense": make_layer("dense")}).startswith(
        "Activations of 1 layer, worst first: nothing found"
    )


def test_names_that_look_like_markup_stay_as_they_are():
    layer = make_layer("model/[red]x[/red]", activation="[bold]")
    finding = make_finding(layer="model/[red]x[/red]", message="See [b]this[/b] :bug:")

    text = render_report({layer.path: layer}, [finding])

    assert text.count("model/[red]x[/red]") == 2
    assert "[bold]" in text
    assert "See [b]this[/b] :bug:" in text


def test_no_colour_in_the_text_whatever_the_surroundings(stats, monkeypatch):
    plain = render_report(stats, [make_finding()], width=100)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)

    assert render_report(stats, [make_finding()], width=100) == plain
    assert "\x1b" not in plain


def test_print_uses_colours_on_a_terminal_only(stats):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    pipe = Console(file=io.StringIO(), force_terminal=False, width=100)

    print_report(stats, [make_finding()], console=terminal)
    print_report(stats, [make_finding()], console=pipe)

    assert "\x1b[" in terminal.file.getvalue()
    lines = pipe.file.getvalue().rstrip().split("\n")
    expected = render_report(stats, [make_finding()], width=100)
    assert "\n".join(line.rstrip() for line in lines) == expected


def test_print_goes_to_standard_output(stats, capsys):
    print_report(stats)

    assert "No findings." in capsys.readouterr().out


def test_print_shows_some_rows_but_every_ill_one(stats):
    console = Console(file=io.StringIO(), width=150)
    findings = [make_finding(step) for step in range(5)]

    print_report(stats, findings, rows=2, console=console)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))

    [table] = rows_of(text)
    assert len(table) == 3
    assert "and 4 more, all healthier" in text
    assert "and 3 more" in text.split("Findings (5)")[1]


def test_print_survives_an_output_without_the_characters():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    layer = make_layer("modell/schön")

    print_report({layer.path: layer}, console=Console(file=stream, width=150))
    stream.flush()

    text = raw.getvalue().decode("ascii")
    assert text.count(r"modell/sch\xf6n") == 1
    assert text.count("No findings.") == 1


def test_says_the_cause_where_it_is_known():
    finding = dataclasses.replace(make_finding(), cause="learning_rate")
    assert "saturation (cause: learning_rate, action: warn)" in render_report(
        {}, [finding]
    )
    assert "cause" not in render_report({}, [make_finding()])
