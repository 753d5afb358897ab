"""The folder of a sweep: what was asked, whose it is, which cells are done and which failed."""

import os
from pathlib import Path
from typing import Any

import tomli_w

from common.configure import dump
from common.failures import DataError, FolderError
from common.files import read_json, write_json, write_text
from common.lock import NAME
from simulations.experiment_file import read
from simulations.folder import summary_of
from simulations.identity import Contents, changes, content_changes
from simulations.sweeping.asked import BASE, FILE, Asked, begun
from simulations.sweeping.grid import Cell

CELLS, FIGURES, TEACHERS, LOGS = "cells", "figures.json", "teachers", "logs"
"""The folder of all cells; in each, what its student scored; teachers lent among cells; logs."""

_FAILURES = "failures.json"
_SHOWN = 3


def make(folder: Path) -> None:
    """Make the folder, so that it can be locked.

    Raises:
        FolderError: it cannot be written, or holds something else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = [path for path in folder.iterdir() if path.name != NAME]
    except OSError as error:
        raise FolderError(f"cannot write the folder {folder}; give another --out") from error
    if not os.access(folder, os.W_OK):
        raise FolderError(f"cannot write the folder {folder}; give another --out")
    if others and not (folder / FILE).exists():
        raise FolderError(f"{folder} exists and is not empty; give another --out")


class Notebook:
    """What is known of the cells. It is read from the cells' folders, but for failures."""

    def __init__(self, folder: Path, asked: Asked) -> None:
        """Open a locked folder, new or of a sweep over the same experiment.

        Raises:
            FolderError: it was begun with another experiment; the differences are named.
        """
        self.folder = folder
        base = dump(read(asked.source, list(asked.overrides)))
        base.pop("seed")
        if (folder / FILE).exists():
            _refuse_change(folder, base, asked)
        for part in (CELLS, LOGS):
            (folder / part).mkdir(mode=0o700, exist_ok=True)
        write_text(folder / BASE, tomli_w.dumps(base))
        vary = {key: list(values) for key, values in asked.vary}
        table = {"experiment": asked.name, "seeds": list(asked.seeds), "vary": vary}
        write_text(folder / FILE, tomli_w.dumps(table))
        self._failures: dict[str, dict[str, Any]] = _read(folder / _FAILURES) or {}
        self._contents = Contents()

    def home(self, cell: Cell) -> Path:
        """The run folder of a cell; of an earlier grid it may have another name."""
        mark = cell.name.rpartition("-")[2]
        found = next((self.folder / CELLS).glob(f"*-{mark}"), None)
        return found or self.folder / CELLS / cell.name

    def figures(self, cell: Cell) -> dict[str, Any] | None:
        """What the student of a complete cell scored; None for any other cell.

        A cell is not complete if the user's files hold something else than when it was run.
        """
        home = self.home(cell)
        if not is_complete(home) or content_changes(home, self._now(cell)):
            return None
        found: dict[str, Any] | None = _read(home / FIGURES)
        return found

    def is_outdated(self, cell: Cell) -> bool:
        """Whether a complete cell was run on other data than there is now, as far as it says."""
        home = self.home(cell)
        return is_complete(home) and bool(content_changes(home, self._now(cell)))

    def failure(self, cell: Cell) -> dict[str, Any] | None:
        """Exit code and line of a cell that failed when it was last tried."""
        known = self._failures.get(cell.name)
        if known is None and self.is_outdated(cell):
            return {"exit_code": DataError.exit_code, "line": "its data has changed meanwhile"}
        return known

    def _now(self, cell: Cell) -> dict[str, str]:
        """What the cell's files hold, read once for all cells of the same settings."""
        return self._contents.of(cell.experiment)

    def note(self, name: str, failure: dict[str, Any] | None) -> None:
        """Keep how a cell ended."""
        before = dict(self._failures)
        self._failures.pop(name, None)
        if failure is not None:
            self._failures[name] = failure
        if self._failures != before:
            write_json(self.folder / _FAILURES, self._failures)


def is_complete(home: Path) -> bool:
    """Whether the run in a folder came to its end."""
    try:
        return bool(summary_of(home)["status"] == "complete")
    except (FolderError, LookupError, TypeError):
        return False


def _refuse_change(folder: Path, base: dict[str, Any], asked: Asked) -> None:
    """Let pass what differs in the grid only; what both sweeps vary has no say in the base."""
    before = begun(folder)
    try:
        was = dump(read(before.source))
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / BASE} is damaged; give another --out") from error
    was.pop("seed")
    both = {key for key, _ in before.vary} & {key for key, _ in asked.vary}
    ours = tuple(start for key in both for start in (f"{key}:", f"{key}."))
    if changed := [line for line in changes(was, base) if not line.startswith(ours)]:
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise FolderError(
            f"{folder} was begun with another experiment ({'; '.join(changed[:_SHOWN])}{more}); "
            "write the same or give another --out"
        )


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None
