"""The folder of a comparison: what was asked, and one line for every arm that has finished."""

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from common.configure import dump
from common.failures import FolderError
from common.files import write_bytes, write_text
from common.lock import NAME, held
from simulations.experiment import Experiment
from simulations.identity import leaves

_ARMS, _ASKED = "arms.jsonl", "experiment.toml"


class Notebook:
    """Finished arms by key. A line is written whole or dropped, so any interruption is safe."""

    def __init__(self, folder: Path, experiment: Experiment, rows: str = _ARMS) -> None:
        """Open a new or empty folder, or one that was begun with the same experiment.

        Args:
            folder: what to open.
            experiment: whose predictions are compared on; its seed does not matter.
            rows: the file of the lines; a folder with another one holds something else.

        Raises:
            FolderError: it holds something else, cannot be written, or was begun with another
                experiment; the first difference is named.
        """
        self.folder, self._path = folder, folder / rows
        _make(folder)
        asked = {key: value for key, value in dump(experiment).items() if key != "seed"}
        if self._path.exists():
            _compare(folder, asked)
        elif any(path.name != NAME for path in folder.iterdir()):
            raise FolderError(f"{folder} exists and is not empty; give another --out")
        else:
            write_text(folder / _ASKED, tomli_w.dumps(asked))
            write_text(self._path, "")
        self._rows = {row["key"]: row for row in self._read()}

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._rows[key]

    def add(self, row: dict[str, Any]) -> None:
        """Append one finished arm; ``row["key"]`` names it."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._rows[row["key"]] = row

    def _read(self) -> list[dict[str, Any]]:
        """All rows; a last line that was cut off is dropped from the file, too."""
        whole, _, rest = self._path.read_bytes().rpartition(b"\n")
        if rest:
            write_bytes(self._path, whole + b"\n" if whole else b"")
        try:
            rows = [json.loads(line) for line in whole.split(b"\n") if line]
            return [row for row in rows if row["key"]]
        except (ValueError, TypeError, KeyError) as error:
            raise FolderError(f"{self._path} is damaged; delete it to start anew") from error


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if need be, to this process.

    Raises:
        FolderError: another process is at work in it.
    """
    _make(folder)
    with held(folder):
        yield


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot write the folder {folder}; give another --out") from error
    if not os.access(folder, os.W_OK):
        raise FolderError(f"cannot write the folder {folder}; give another --out")


def _compare(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse a folder that was begun with another experiment, and name the difference."""
    try:
        begun = tomllib.loads((folder / _ASKED).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / _ASKED} is damaged; give another --out") from error
    old, new = leaves(begun), leaves(json.loads(json.dumps(asked)))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            raise FolderError(
                f"{folder} was begun with {key} = {_written(old.get(key))}, now it is "
                f"{_written(new.get(key))}; write the same or give another --out"
            )


def _written(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)
