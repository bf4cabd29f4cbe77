"""Where the curves for TensorBoard go, and how to see them."""

import pathlib
import shlex
import shutil
import sys

LOG_DIR = "logs/demo"


def free_folder(log_dir):
    """The folder, or one numbered beside it where there is a demo already.

    TensorBoard would join the curves of two demos in one folder.

    Returns:
        `pathlib.Path`.

    Raises:
        SystemExit: when `log_dir` is a file.
    """
    wanted = pathlib.Path(log_dir)
    if wanted.exists() and not wanted.is_dir():
        raise SystemExit(f"The folder for the curves is a file. Received: {wanted}")
    folder, number = wanted, 1
    while (folder / "healthy").exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def tensorboard_command(log_dir):
    """What to type to see the curves; it works where no environment is activated."""
    beside = shutil.which("tensorboard", path=pathlib.Path(sys.executable).parent)
    if beside and beside == shutil.which("tensorboard"):
        program = ["tensorboard"]
    else:
        program = [beside] if beside else [sys.executable, "-m", "tensorboard.main"]
    return shlex.join([*program, "--logdir", str(log_dir)])
