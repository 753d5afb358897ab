"""A folder that one process has to itself, for as long as it lives."""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from common.failures import FolderError

NAME = "lock"

_SAME_START_SECONDS = 2.0
"""Start times of one process, as two others compute them, may differ when clocks are set."""

_WRITING_SECONDS = 0.5


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Keep ``folder`` to this process. A lock whose process has ended is taken over.

    The lock names process, host and the start of the process, for process numbers come again.

    Yields:
        Whether somebody had to be taken over from, who had ended without giving it back.

    Raises:
        FolderError: another process is at work in the folder, or it cannot be written.
    """
    path = folder / NAME
    with _in_turn(folder):
        stale = _acquire(folder, path)
    try:
        yield stale
    finally:
        if _is_ours(path):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _in_turn(folder: Path) -> Iterator[None]:
    """One process at a time, so that of two that find a stale lock one takes it over."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems know no such thing
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _acquire(folder: Path, path: Path) -> bool:
    """Take the lock; whether there was a stale one."""
    stale = False
    while not _taken(path):
        if owner := _owner(path):
            raise FolderError(_told(folder, owner))
        stale = True
        path.unlink(missing_ok=True)
    return stale


def _taken(path: Path) -> bool:
    """Make the lock ours, unless there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise FolderError(f"cannot write the run folder {path.parent}; give another one") from error
    with os.fdopen(handle, "w") as file:
        json.dump(_me(), file)
    return True


def _me() -> dict[str, Any]:
    process = psutil.Process()
    return {"pid": process.pid, "host": socket.gethostname(), "started": process.create_time()}


def _owner(path: Path) -> dict[str, Any] | None:
    """Who holds the lock, or None if nobody does any more."""
    end = time.monotonic() + _WRITING_SECONDS
    while (owner := _read(path)) is None and path.exists() and time.monotonic() < end:
        time.sleep(_WRITING_SECONDS / 10)  # it may be about to be written
    return owner if owner is not None and _is_alive(owner) else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        owner = json.loads(path.read_bytes())
        return {key: owner[key] for key in ("pid", "host", "started")}
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _is_alive(owner: dict[str, Any]) -> bool:
    """Whether that very process runs; of another host nobody can tell, so it counts as alive."""
    if owner["host"] != socket.gethostname():
        return True
    try:
        process = psutil.Process(owner["pid"])
        same = abs(process.create_time() - owner["started"]) < _SAME_START_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, TypeError, ValueError):
        return False


def _is_ours(path: Path) -> bool:
    owner = _read(path)
    return owner is not None and owner["pid"] == os.getpid()


def _told(folder: Path, owner: dict[str, Any]) -> str:
    if owner["host"] != socket.gethostname():
        return (
            f"{folder} is in use by process {owner['pid']} on {owner['host']}; if that has ended, "
            f"delete {folder / NAME}"
        )
    return f"{folder} is in use by process {owner['pid']}; wait for it or give another folder"
