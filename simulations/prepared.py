"""Data sets in the cache, prepared once: files that know their own checksum.

The first line is a mark and the SHA-256 of the rest, the rest is one JSON value. One file
holds both, so that they cannot be of different age.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from common.failures import DataError, FolderError
from common.files import write_bytes
from common.places import cache_dir, cache_root

MARK = b"fedknot-prepared "


def path_of(kind: str, version: str) -> Path:
    """Where the prepared data set lies in the cache, whether it is there or not."""
    return cache_root() / "data" / kind / f"{version}.json"


def is_there(kind: str, version: str) -> bool:
    """Whether there is such a file; it may still turn out to be damaged."""
    return os.path.isfile(path_of(kind, version))  # unlike Path.is_file, False if forbidden


def save(kind: str, version: str, value: Any) -> Path:
    """Write a prepared data set atomically and return its path.

    Raises:
        FolderError: the cache cannot be written, or the disk is full.
    """
    cache_dir()
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    path = path_of(kind, version)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(path, MARK + _digest(body) + b"\n" + body, mode=0o600)
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise FolderError(
            f"cannot write {path} ({reason}); set FEDKNOT_CACHE to a folder with room"
        ) from error
    return path


def load(kind: str, version: str) -> Any:
    """What :func:`save` wrote.

    Raises:
        DataError: the file is missing, damaged or cannot be read.
    """
    path = path_of(kind, version)
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read; type: fedknot data fetch {kind}") from error
    if head != MARK + _digest(body):
        raise DataError(
            f"{path} is damaged: its checksum is wrong; type: fedknot data fetch {kind}"
        )
    return json.loads(body)


def files_of(kind: str) -> list[Path]:
    """The prepared files of a data set in the cache, of any version; nothing else."""
    folder = cache_root() / "data" / kind
    return sorted(path for path in folder.glob("*.json") if path.is_file() and _is_ours(path))


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
