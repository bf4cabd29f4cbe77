"""The public names are the documented ones, and documented."""

import inspect
import re
from pathlib import Path

import keras
import pytest

import keras_activations as ka

README = (Path(__file__).parents[1] / "README.md").read_text()
SIGNATURES = {
    ka.ClippedTanh: {"limit": 3.0, "outside_gradient": "zero"},
    ka.ReLU6: {},
    ka.HardSwish: {},
    ka.StableGELU: {"approximate": False},
    ka.functional.clipped_tanh: {"limit": 3.0, "outside_gradient": "zero"},
    ka.functional.relu6: {},
    ka.functional.hard_swish: {},
    ka.functional.stable_gelu: {"approximate": False},
    ka.ActivationMonitor: {
        "log_dir": None,
        "layers": "auto",
        "every": 50,
        "on_nonfinite": "stop",
        "on_saturation": "warn",
        "on_dead_units": "warn",
        "on_vanishing_gradient": "warn",
        "on_exploding_gradient": "warn",
        "rules": None,
        "metadata": None,
        "verbose": 1,
    },
}


def test_names():
    assert set(ka.__all__) == {
        "ActivationMonitor",
        "ClippedTanh",
        "Finding",
        "FindingError",
        "HardSwish",
        "LayerStats",
        "ReLU6",
        "StableGELU",
        "functional",
        "rules",
    }
    assert all(hasattr(ka, name) for name in ka.__all__)


@pytest.mark.parametrize("public", SIGNATURES, ids=lambda public: public.__name__)
def test_signatures(public):
    parameters = inspect.signature(public).parameters.values()
    options = {
        p.name: p.default
        for p in parameters
        if p.default is not p.empty and p.kind is not p.VAR_KEYWORD
    }
    assert options == SIGNATURES[public]


def test_fields_of_stats_and_findings():
    finding = set(ka.Finding.__dataclass_fields__)
    assert finding == {
        *("step", "epoch", "layer", "rule", "value", "threshold", "action", "message"),
        *("cause", "medicine"),
    }
    for name in (
        *("count", "mean", "std", "min", "max", "saturation", "zero_fraction"),
        *("dead_units", "nan_count", "inf_count", "histogram", "quantile"),
        *("gradient_norm", "weight_norm", "update_ratio"),
    ):
        assert (
            hasattr(ka.LayerStats, name) or name in ka.LayerStats.__dataclass_fields__
        )


@pytest.mark.parametrize("name", sorted(set(ka.__all__) - {"functional", "rules"}))
def test_documented_with_summary_and_in_the_readme(name):
    public = getattr(ka, name)
    assert re.match(r"[A-Z].*[.`]$", inspect.getdoc(public).splitlines()[0])
    if name != "LayerStats":
        assert name in README


@pytest.mark.parametrize("rule", ka.rules.default_rules(), ids=lambda rule: rule.name)
def test_the_readme_names_every_rule_and_its_default_action(rule):
    default = SIGNATURES[ka.ActivationMonitor][f"on_{rule.name}"]
    assert f"`{rule.name}`" in README
    assert f'`on_{rule.name}="{default}"`' in README


def readme_example():
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    return block.group(1)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_readme_example_runs_as_printed(scaled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keras.backend.clear_session()  # the layer names are printed
    code = readme_example()
    assert len([line for line in code.splitlines() if line]) <= 10
    if scaled:
        code = code.replace("x, y, epochs", "x / 16, y, epochs")
    names = {}
    exec(code, names)
    found = [(f.layer, f.rule) for f in names["monitor"].findings]
    shown = capsys.readouterr().out
    if scaled:
        assert found == []
    else:
        assert found == [("sequential/clipped_tanh", "saturation")]
        assert "1 to look at (!)" in shown and "1 to look at (!)" in README
    assert (tmp_path / "logs" / "activations").is_dir()
