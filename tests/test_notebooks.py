"""The committed notebooks: executed, clean, and valid code (`make notebooks` runs them)."""

import ast
import json
import pathlib
import re

import pytest

import keras_activations as ka

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def source(notebook):
    return "\n\n".join("".join(cell["source"]) for cell in code_cells(notebook))


def test_there_is_a_first_look():
    assert "01_first_look" in [path.stem for path in NOTEBOOKS]


def test_was_executed_from_top_to_bottom(notebook):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert outputs(notebook)


def test_has_neither_errors_nor_log_noise(notebook):
    for output in outputs(notebook):
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr", output["text"]


def test_shows_plots(notebook):
    kinds = [kind for output in outputs(notebook) for kind in output.get("data", {})]
    assert "image/png" in kinds


def test_holds_no_path_of_the_machine_it_ran_on(notebook):
    text = json.dumps([o for o in outputs(notebook) if "text" in o])
    assert not re.search(r"/(tmp|home|root|Users|work|var)/|[A-Z]:\\\\", text)


def test_any_python_kernel_will_do(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_code_is_valid_and_uses_names_that_exist(notebook):
    tree = ast.parse(source(notebook))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "ka"
    }
    assert "ActivationMonitor" in used
    assert used <= set(ka.__all__)


def test_prose_stands_between_the_cells(notebook):
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") / 2
