"""A folder of cached arrays that has an end: what was not used longest goes first."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

if sys.platform != "win32":
    import fcntl

_FEATURES: Final = "*.npy"
_STALE_SECONDS: Final = 3600.0  # nobody writes one file for so long


def taken(path: Path) -> bytes:
    """The bytes of a file, which counts as used from now on and is not dropped meanwhile.

    Raises:
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        with contextlib.suppress(OSError):  # a cache that may only be read
            _locked(file, shared=True)
            os.utime(path)
        return file.read()


def used(path: Path) -> None:
    """Count a file as used from now on, if it is there."""
    with contextlib.suppress(OSError):  # dropped just now, or a cache that may only be read
        os.utime(path)


def trimmed(folder: Path, most: int, newest: Path, files: str = _FEATURES) -> None:
    """Drop what was not used longest until all files together are small enough, if they can be.

    Files that somebody reads just now stay, and so does the newest. What killed writers have
    left behind is dropped too.

    Args:
        folder: with the files.
        most: bytes of all files together.
        newest: has just been written.
        files: which ones count; a pattern, of files in the folder or in folders of it.
    """
    for path in leftovers(folder, files):
        path.unlink(missing_ok=True)
    found = list(_by_use(folder, files))
    size = sum(size for _, size in found)
    for path, own in found:
        if size <= most:
            break
        if path != newest and _dropped(path):
            size -= own


def leftovers(folder: Path, files: str = _FEATURES) -> list[Path]:
    """What killed writers of such files have left in a folder."""
    past = time.time() - _STALE_SECONDS
    found = []
    for path in folder.glob(str(Path(files).with_name(f".{Path(files).name}.*.part"))):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < past:
                found.append(path)
    return found


def _by_use(folder: Path, files: str) -> Iterator[tuple[Path, int]]:
    """Files and their sizes, the one that was not used longest first."""
    found = []
    for path in folder.glob(files):
        with contextlib.suppress(FileNotFoundError):  # another process trims as well
            if not path.name.startswith("."):
                about = path.stat()
                found.append((about.st_mtime_ns, path, about.st_size))
    for _, path, size in sorted(found):
        yield path, size


def _dropped(path: Path) -> bool:
    """Whether a file is gone; not if somebody reads it."""
    try:
        with path.open("rb") as file:
            _locked(file, shared=False)
            if sys.platform != "win32":
                path.unlink(missing_ok=True)
        if sys.platform == "win32":
            path.unlink(missing_ok=True)  # fails while it is open anywhere
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _locked(file: BinaryIO, *, shared: bool) -> None:
    """Lock an open file until it is closed; who wants it alone does not wait for it.

    Raises:
        OSError: it is in use.
    """
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
