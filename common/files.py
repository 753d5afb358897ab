"""Files that are either whole or not there: write beside, flush, rename, flush the folder."""

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from common.failures import FolderError

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate newlines
_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY
_MODE = 0o777
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def full_disk_is_a_failure() -> Iterator[None]:
    """Turn "no space left" of whatever is written inside into one line for a person.

    Raises:
        FolderError: the disk, or the user's share of it, is full or cannot be written, or
            files may not be as large as needed.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        why = os.strerror(error.errno).lower()
        raise FolderError(f"cannot write ({why}); free some space or give another --out") from error


def read_bytes(path: str | Path) -> bytes:
    """What ``Path.read_bytes`` gives, in half its time: a round reads thousands of small files."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def write_bytes(path: str | Path, data: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Replace ``path`` by ``data`` atomically; readers see the old file or the new one.

    Args:
        path: the file.
        data: its content.
        mode: its permissions.
        durable: whether it survives a power failure from now on; otherwise once it and its
            folder are :func:`flushed`.
    """
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    try:
        granted = os.fstat(handle).st_mode & _MODE  # the user's mask may have taken some of it
        _fill(handle, data, durable)
        if granted != mode:
            os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    if durable:
        flushed(folder or os.curdir)


def append_bytes(path: str | Path, data: bytes, *, durable: bool = False) -> None:
    """Append to a file, which is made if there is none; by one write, unless the disk gets full.

    Args:
        path: the file.
        data: what to append.
        durable: whether all of the file survives a power failure from now on.
    """
    _fill(os.open(path, _APPENDING, 0o666), data, durable)


@contextlib.contextmanager
def appending(path: str | Path) -> Iterator[Callable[[bytes, bool], None]]:
    """As :func:`append_bytes` again and again, on a file that is opened once.

    Args:
        path: the file.

    Yields:
        What takes ``data`` and ``durable``; all is with the system when it returns.
    """
    handle = os.open(path, _APPENDING, 0o666)
    try:
        yield partial(_put, handle)
    finally:
        os.close(handle)


def _fill(handle: int, data: bytes, durable: bool) -> None:
    """Write all of ``data`` and close the file."""
    try:
        _put(handle, data, durable)
    finally:
        os.close(handle)


def _put(handle: int, data: bytes, durable: bool) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
    if durable:
        os.fsync(handle)


def write_fresh(path: str | Path, data: bytes, mode: int = 0o644) -> None:
    """Write a new file of a folder that counts only once it is sealed; neither atomic nor flushed.

    A thousand stores are written in a second by this, not in twenty. Whoever seals the folder
    has it on disk first; what was not sealed is made anew.

    Raises:
        FileExistsError: there is such a file.
    """
    _fill(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode), data, False)


def flush_all() -> None:
    """Have everything on disk that was written so far, by whichever way."""
    if hasattr(os, "sync"):  # not on Windows, where the system flushes in its own time
        os.sync()


def flushed(path: str | Path) -> None:
    """Have a file's content on disk; or a folder's names, so that nothing later is there first."""
    if os.name == "nt":
        return  # a folder cannot be opened there, and the file system keeps the order itself
    handle = os.open(path, os.O_RDONLY)
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
    write_bytes(path, json_bytes(value), mode)


def json_bytes(value: Any) -> bytes:
    """The content of a file by :func:`write_json`."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: str | Path) -> Any:
    """What :func:`write_json` wrote."""
    return json.loads(read_bytes(path))


def write_lines(path: Path, rows: Iterable[Any], mode: int = 0o644) -> None:
    """One JSON value per line. ASCII escapes keep any text, however broken, readable."""
    write_bytes(path, line_bytes(rows), mode)


def line_bytes(rows: Iterable[Any]) -> bytes:
    """The content of a file by :func:`write_lines`."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()


def read_lines(path: Path) -> list[Any]:
    """What :func:`write_lines` wrote; splits at newlines only, never inside a text."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
