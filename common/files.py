"""Files that are either whole or not there: write beside, flush, rename, flush the folder."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from common.failures import FolderError


@contextlib.contextmanager
def full_disk_is_a_failure() -> Iterator[None]:
    """Turn "no space left" of whatever is written inside into one line for a person.

    Raises:
        FolderError: the disk, or the user's share of it, is full or cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        why = os.strerror(error.errno).lower()
        raise FolderError(f"cannot write ({why}); free some space or give another --out") from error


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` atomically; readers see the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Have the renaming itself on disk, so that what is written later cannot be there first."""
    if os.name == "nt":
        return  # a folder cannot be opened there, and the file system keeps the order itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems know no such thing
            os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Like :func:`write_bytes`; lone surrogates of broken texts survive the round trip."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"), mode)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """``value`` as indented JSON; NaN is refused, because other readers refuse it."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", mode)


def read_json(path: Path) -> Any:
    """What :func:`write_json` wrote."""
    return json.loads(path.read_bytes())


def write_lines(path: Path, rows: Iterable[Any], mode: int = 0o644) -> None:
    """One JSON value per line. ASCII escapes keep any text, however broken, readable."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), mode)


def read_lines(path: Path) -> list[Any]:
    """What :func:`write_lines` wrote; splits at newlines only, never inside a text."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
