"""A client's private folder, and the seal by which it finds out what of it is damaged."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
"""The mode of its files."""
FOLDER: Final = 0o700
"""The mode of its folders."""

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Folder:
    """Where it is."""

    root: Path

    @cached_property
    def home(self) -> str:
        """The folder as a string: pathlib takes longer over a name than the system over a file."""
        return os.fspath(self.root)


def closed(data: bytes) -> bytes:
    """The data, and a digest of it behind."""
    return data + hashlib.sha256(data).digest()


def opened(sealed: bytes) -> bytes | None:
    """What stands before a digest of it, or None where it does not fit."""
    data, digest = sealed[:-_DIGEST_BYTES], sealed[-_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None
