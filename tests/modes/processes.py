"""Scripts in processes of their own, which never outlive the test, and what they send."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = "results.pickle"


def run(module, folders, environments, timeout):
    """Runs a module once in each folder, all at the same time.

    Args:
        module: its dotted name, run as `python -m` does.
        folders: list of existing paths, the working folders.
        environments: list of dicts, what is added to the environment of each.
        timeout: seconds for all of them together.

    Returns:
        list of what each of them sent, and a list of what each printed to stdout.
    """
    processes = []
    try:
        for folder, environment in zip(folders, environments, strict=True):
            processes.append(_start(module, folder, environment))
        deadline = time.monotonic() + timeout
        # One that failed leaves the others waiting for it.
        while time.monotonic() < deadline and _all_well(processes):
            time.sleep(0.1)
        ends = [process.poll() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = [(folder / "stdout").read_text() for folder in folders]
    errors = [(folder / "stderr").read_text()[-4000:] for folder in folders]
    told = "\n".join(
        f"--- {folder.name}: {'still running' if end is None else end}\n{out}\n{error}"
        for folder, end, out, error in zip(folders, ends, said, errors, strict=True)
    )
    assert not any(ends) and None not in ends, f"{module}\n{told}"
    return [pickle.loads((folder / RESULTS).read_bytes()) for folder in folders], said


def send(results):
    """Hands results to the test that runs this process."""
    Path(RESULTS).write_bytes(pickle.dumps(results))


def _start(module, folder, environment):
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    settings = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        # Several processes would fight over one GPU.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as error:
        return subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=folder,
            env={**os.environ, **settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
        )


def _all_well(processes):
    ends = [process.poll() for process in processes]
    return None in ends and not any(ends)
