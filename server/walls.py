"""What the server's process may not open or load, and what holds it to that.

A hook of this kind stops an honest mistake in Python code: ``open``, ``pathlib``, numpy,
torch, sqlite, directory listings, and names for what is private, by a move or a link. It does
not stop a subprocess, a library that opens files in C, or a path that is relative to an open
folder (PRIVACY C9); on one machine under one user nothing in Python does.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from common.places import cache_root

_FIRST = ("open", "os.listdir", "os.scandir", "os.chdir", "shutil.copyfile", "sqlite3.connect")
_BOTH = ("os.rename", "os.link")
_PATHS = dict.fromkeys(_FIRST, 1) | dict.fromkeys(_BOTH, 2)
"""The events that are about paths, and how many."""
_NEW = os.O_CREAT | os.O_EXCL
_FOLDERS = 16  # that are remembered
_PRIVATE = ("clients", "simulations.datasets", "simulations.provision", "simulations.split")


def keep_out(folder: Path) -> None:
    """Make this process refuse to open stores, split, data sets, test features, the seed.

    Args:
        folder: the run folder.

    The hook stays for the life of the process. What is refused raises PermissionError.
    """
    names = ("clients", "split.json", "experiment.toml", "checkpoint/private")
    private = [folder / name for name in names]
    private += [cache_root() / name for name in ("data", "sites", "observer")]
    closed = tuple(os.path.realpath(path) + os.sep for path in private)
    places = _Places()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in _PATHS:
            return  # nearly all events, some of them raised by every other line
        for path in _paths(event, args, places):
            own = path + os.sep
            if own.startswith(closed) or (
                event in _BOTH and any(wall.startswith(own) for wall in closed)
            ):
                raise PermissionError("the server's process may not open what is private")

    sys.addaudithook(hook)


def assert_apart() -> None:
    """Make sure that this process has loaded nothing of a client or of the data.

    Raises:
        RuntimeError: it has, which fails the run.
    """
    loaded = [name for name in sys.modules if name.startswith(_PRIVATE)]
    if loaded:
        raise RuntimeError(f"the server's process imported {sorted(loaded)}")


class _Places:
    """Where paths lead, links followed.

    A round opens thousands of files in a few folders. Where these lead is remembered, and looked
    up anew unless their paths still lead to the very same folders: one look, not one a part.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], str]] = {}  # several threads open files

    def real(self, paths: Iterable[str], *, new: bool = False) -> Iterator[str]:
        """Paths of one event without links.

        Args:
            paths: of files or folders.
            new: whether the system itself refuses to follow a link there, or to open any file.
        """
        looked: dict[str, str | None] = {}
        for path in paths:
            folder, name = os.path.split(path)
            odd = os.name == "nt" or name in ("", os.curdir, os.pardir)
            if odd or (not new and os.path.islink(path)):
                yield os.path.realpath(path)
                continue
            if folder not in looked:
                looked[folder] = self._home(folder)
            home = looked[folder]
            yield os.path.realpath(path) if home is None else f"{home}{os.sep}{name}"

    def _home(self, folder: str) -> str | None:
        """Where a folder leads, without a separator at the end; None if nobody can look there."""
        try:
            found = os.stat(folder)
        except (OSError, ValueError):
            return None
        identity = found.st_dev, found.st_ino
        known, home = self._known.get(folder, (None, ""))
        if known != identity:
            home = os.path.realpath(folder).rstrip(os.sep)
            if len(self._known) >= _FOLDERS:
                self._known.clear()
            self._known[folder] = identity, home
        return home


def _paths(event: str, args: tuple[Any, ...], places: _Places) -> Iterator[str]:
    """Every path that an event is about, without links."""
    named = [arg for arg in args[: _PATHS[event]] if isinstance(arg, str | bytes | os.PathLike)]
    paths = [os.fsdecode(arg) for arg in named]
    new = event == "open" and isinstance(args[2], int) and args[2] & _NEW == _NEW
    yield from places.real(paths, new=new)
    if event == "sqlite3.connect":
        yield from (os.path.realpath(_of_address(p)) for p in paths if p.startswith("file:"))


def _of_address(address: str) -> str:
    """The path in ``file:path?options``, ``file:///path`` or ``file://localhost/path``."""
    path = re.split("[?#]", address.removeprefix("file:"), maxsplit=1)[0]
    return unquote("/" + path[2:].partition("/")[2] if path.startswith("//") else path)
