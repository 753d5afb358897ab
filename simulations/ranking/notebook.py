"""The folder of a league: what it is, frozen when it was begun, and one line per cell."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common.configure import dump
from common.failures import FolderError
from common.files import read_json, write_bytes, write_json
from common.lock import NAME
from simulations.experiment import Experiment
from simulations.identity import Contents, content_differences
from simulations.ranking.definition import Arm, League, Stage

SHELF = "features"
"""A private folder of features of private texts; one of another league may be put there."""

CONTENT = "content"
"""Key of a cell for what the user's files held when it was measured, if it reads any."""

_FROZEN, _CELLS = "frozen.json", "cells.jsonl"


class Notebook:
    """Finished cells by key. A line is written whole or dropped, so any interruption is safe."""

    def __init__(self, folder: Path, league: League, stage: Stage) -> None:
        """Open a new or empty folder, or one begun with the same league and stage.

        A league on test is one run: what it consists of is fixed with its first cell, and what
        the user's files hold. On the validation slice arms and settings may come and go; cells
        that are there are kept.

        Raises:
            FolderError: the folder holds something else, or was begun with something else.
        """
        self.folder, self._path = folder, folder / _CELLS
        self._rows: dict[str, dict[str, Any]] = {}
        frozen = {"stage": stage, "digest": league.digest(stage)}
        self._contents = Contents()
        held = _held(league, stage, self._contents)
        if (folder / _FROZEN).exists():
            held = _refuse_change(folder, frozen, held)
        elif any(path.name not in (NAME, SHELF) for path in folder.iterdir()):
            raise FolderError(f"{folder} exists and is not empty; give another --out")
        write_json(folder / _FROZEN, frozen | ({CONTENT: held} if held else {}))
        if not self._path.exists():
            write_bytes(self._path, b"")
        self.reread()

    def get(self, key: str, experiment: Experiment) -> dict[str, Any] | None:
        """One cell, or None while it is not measured on what the user's files hold now."""
        row = self._rows.get(key)
        if row is None or not (was := row.get(CONTENT)):
            return row
        return None if content_differences(was, self._contents.of(experiment)) else row

    def missing(self, cells: Iterable[tuple[str, Experiment]]) -> list[str]:
        """Keys of those that are to be measured."""
        return [key for key, experiment in cells if self.get(key, experiment) is None]

    def reread(self) -> None:
        """Take in what was appended; nobody may be at it meanwhile."""
        self._rows = {row["key"]: row for row in self._read()}

    def _read(self) -> list[dict[str, Any]]:
        """All cells; a last line that was cut off is dropped from the file, too."""
        whole, _, rest = self._path.read_bytes().rpartition(b"\n")
        if rest:
            write_bytes(self._path, whole + b"\n" if whole else b"")
        try:
            rows = [json.loads(line) for line in whole.split(b"\n") if line]
            return [row for row in rows if row["key"]]
        except (ValueError, TypeError, KeyError) as error:
            raise FolderError(f"{self._path} is damaged; delete it to start anew") from error


def append(folder: Path, key: str, row: dict[str, Any]) -> None:
    """Keep a cell, on disk when this returns; several processes may, for it is one write."""
    handle = os.open(folder / _CELLS, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, json.dumps({"key": key, **row}, allow_nan=False).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def key_of(setting: str, arm: Arm, experiment: Experiment, seed: int) -> str:
    """SHA-256, in hexadecimal, of all that is written about a cell."""
    table = dump(experiment) | {"seed": seed}
    told = [setting, arm.human, arm.yardstick and dump(arm)["yardstick"], table]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


_Held = dict[str, dict[str, str]]
"""What the files of the settings hold, for those that have any."""


def _held(league: League, stage: Stage, contents: Contents) -> _Held:
    own = {s.name: contents.of(league.experiment(s, None, stage)) for s in league.settings}
    return {name: found for name, found in own.items() if found}


def _refuse_change(folder: Path, frozen: dict[str, str], held: _Held) -> _Held:
    """Let pass what the folder was begun with; what is known of its files by then and now."""
    try:
        begun = read_json(folder / _FROZEN)
        stage, digest = begun["stage"], begun["digest"]
        was: _Held = begun.get(CONTENT, {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FolderError(f"{folder / _FROZEN} is damaged; give another --out") from error
    if stage != frozen["stage"]:
        raise FolderError(
            f"{folder} was begun with --stage {stage}; write the same or give another --out"
        )
    if stage == "final" and digest != frozen["digest"]:
        raise FolderError(
            f"{folder} was begun with another league, and what is run on test rows is frozen; "
            "write the same or give another --out"
        )
    for name, found in was.items():
        if stage == "final" and (changed := content_differences(found, held.get(name, {}))):
            raise FolderError(
                f"the data of setting {name} has changed since {folder} was begun "
                f"({'; '.join(changed)}), and what is run on test rows is frozen; put back what it "
                "was, or give another --out"
            )
    return was | held
