"""What the server's process may not open, and a hook that holds it to that.

A hook of this kind stops an honest mistake in Python code: ``open``, ``pathlib``, numpy,
torch, directory listings. It does not stop a subprocess or a library that opens files in
C (PRIVACY C9); on one machine under one user nothing in Python does.
"""

import os
import sys
from pathlib import Path
from typing import Any

from common.places import cache_root

_EVENTS = ("open", "os.listdir", "os.scandir", "os.chdir", "shutil.copyfile")


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
        if event in _EVENTS and args and isinstance(args[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(args[0]))
            if any(path == wall or path.startswith(wall + os.sep) for wall in closed):
                raise PermissionError("the server's process may not open what is private")

    sys.addaudithook(hook)
