"""The functions and layers on JAX; `make test-torch` does the same on PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_within_the_bounds_on_jax():
    done = subprocess.run(
        [sys.executable, "-m", "tests.deployment.other_backend"],
        cwd=ROOT,
        env=os.environ
        | {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "jax: every function is within its bounds" in done.stdout
