"""What the server's process may not open or load, and what holds it to that.

A hook of this kind stops an honest mistake in Python code: ``open``, ``pathlib``, numpy,
torch, sqlite, directory listings, and names for what is private, by a move or a link. It does
not stop a subprocess, a library that opens files in C, or a path that is relative to an open
folder (PRIVACY C9); on one machine under one user nothing in Python does.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from common.places import cache_root

_FIRST = ("open", "os.listdir", "os.scandir", "os.chdir", "shutil.copyfile", "sqlite3.connect")
_BOTH = ("os.rename", "os.link")
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
    closed = [os.path.realpath(path) for path in private]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        for path in _paths(event, args):
            if any(_within(path, wall) for wall in closed) or (
                event in _BOTH and any(_within(wall, path) for wall in closed)
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


def _paths(event: str, args: tuple[Any, ...]) -> Iterator[str]:
    """Every path that an event is about, without links."""
    count = 1 if event in _FIRST else 2 if event in _BOTH else 0
    for arg in args[:count]:
        if isinstance(arg, str | bytes | os.PathLike):
            path = os.fsdecode(arg)
            yield os.path.realpath(path)
            if event == "sqlite3.connect" and path.startswith("file:"):
                yield os.path.realpath(_of_address(path))


def _of_address(address: str) -> str:
    """The path in ``file:path?options``, ``file:///path`` or ``file://localhost/path``."""
    path = re.split("[?#]", address.removeprefix("file:"), maxsplit=1)[0]
    return unquote("/" + path[2:].partition("/")[2] if path.startswith("//") else path)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
