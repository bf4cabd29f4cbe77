"""The package as a user gets it: built, installed elsewhere, run outside the checkout."""

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keras_activations._version import __version__

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "keras_activations"


def run(*command, **kwargs):
    """Run a command; when it fails, show what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def readme_example():
    """The README's first Python block that uses the monitor."""
    blocks = re.findall(
        r"^```python\n(.*?)^```",
        (ROOT / "README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return next(block for block in blocks if "ActivationMonitor" in block)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the sdist: a file that either of them lacks is missed here.

    From a copy, so that neither an old `build/` can slip in nor a new one stay behind.
    """
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "source"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(
        PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the installed wheel and nothing else; dependencies are ours."""
    target = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--no-index", "--target", target, wheel),
    )
    return target


@pytest.fixture
def outside(installed):
    """Environment variables that put the installed wheel before the checkout."""
    return os.environ | {"PYTHONPATH": str(installed)}


def test_wheel_holds_every_module_and_nothing_else(wheel):
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == modules


def test_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Name"] == "keras_activations"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()
    required = {
        re.match(r"[\w-]+", requirement)[0]
        for requirement in metadata.get_all("Requires-Dist")
        if "extra ==" not in requirement
    }
    assert required == {"keras", "numpy", "rich", "tensorboard", "tensorflow"}
    assert set(metadata.get_all("Provides-Extra")) == {"demo", "dev", "test"}


def test_installed_version_is_the_one_it_reports(installed, outside, tmp_path):
    program = """
import importlib.metadata, keras_activations
from keras_activations._version import __version__
print(keras_activations.__file__)
print(__version__, importlib.metadata.version("keras_activations"))
"""
    output = run(sys.executable, "-c", program, cwd=tmp_path, env=outside)
    *_, file, versions = output.splitlines()
    assert Path(file).is_relative_to(installed)
    reported, recorded = versions.split()
    assert reported == recorded


def test_console_script(installed, outside, tmp_path):
    script = installed / "bin" / "keras-activations"
    assert "usage" in run(script, "--help", cwd=tmp_path, env=outside).lower()


def test_readme_example_runs_outside_the_checkout(installed, outside, tmp_path):
    example = tmp_path / "example.py"
    example.write_text(readme_example())
    run(sys.executable, example, cwd=tmp_path, env=outside)
