"""The version of the code that a run was made with."""

import functools
import hashlib
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def code():
    """A short digest of the package's and the ward's sources."""
    digest = hashlib.sha256()
    for folder in (ROOT / "keras_activations", pathlib.Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
