"""The cache: what has been run already, so that an interrupted ward goes on."""

import os
import pathlib
import tempfile

from benchmarks.faults.records import Record

DEFAULT = pathlib.Path(tempfile.gettempdir()) / "keras_activations_ward"


class Cache:
    """A folder outside the repository: a line of JSON and a file of windows a run.

    Args:
        folder: path.
        code: only runs of this version of the code count; None takes all.
    """

    def __init__(self, folder, code=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lines = self.folder / "records.jsonl"
        self._code = code

    def records(self):
        """Dict of key to `Record`; of runs made twice the last."""
        if not self._lines.exists():
            return {}
        lines = self._lines.read_text(encoding="utf-8").splitlines(keepends=True)
        # The last line of an interrupted run may be half a line.
        records = [Record.from_json(line) for line in lines if line.endswith("\n")]
        return {
            record.key: record
            for record in records
            if self._code is None or record.code == self._code
        }

    def add(self, record, windows):
        """Keeps a run; `windows` are bytes or None."""
        if windows is not None:
            path = self.windows(record)
            half = path.with_suffix(".half")
            half.write_bytes(windows)
            os.replace(half, path)
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(record.to_json() + "\n")

    def windows(self, record):
        """The file with the windows of a run."""
        name = "-".join(map(str, record.key))
        return self.folder / f"{name}.pickle"
