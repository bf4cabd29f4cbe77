"""`python -m benchmarks numerics`: each cell is a largest error and a percentile."""

import argparse
import math
import re

import numpy as np

import keras_activations as ka
from benchmarks.numerics import command, fused


def test_the_table_is_whole(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    path = tmp_path / "numerics.md"
    asked = ("--functions", "gelu_tanh", "--types", "float16", "float64")
    asked += ("--xla", "off", "--dense", "300", "--write", str(path))
    command.run(parser.parse_args(asked))
    written = path.read_text(encoding="utf-8")
    assert written.strip() == capsys.readouterr().out.strip()
    rows = [line.strip("| ").split(" | ") for line in written.splitlines()]
    rows = [row for row in rows if row[0] == "`stable_gelu(approximate=True)`"]
    assert [row[1] for row in rows] == ["float16", "float64"]
    for row in rows:
        for cell in (*row[2:4], *row[5:]):
            largest, usual = (float(part) for part in cell.split(" / "))
            assert math.isnan(largest) or largest >= usual >= 0
    assert rows[0][2].startswith("0.")  # ours, half a unit
    assert rows[0][6].startswith("NaN")  # Keras's gradient in float16
    assert re.search(r"^- keras_activations .*Keras", written, re.MULTILINE)


def test_gelu_keeps_its_tail_inside_a_dense():
    x = np.linspace(-12.5, 12, 2000).astype("float32")
    assert np.max(fused.relative_errors(ka.functional.stable_gelu, x)) <= 2e-5
    rows = [line for line in fused.section(500).splitlines() if line.startswith("| -")]
    assert len(rows) == len(fused.EDGES) - 1
