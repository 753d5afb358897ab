"""Data that a user must bring: published files, recognised by their SHA-256."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from common.failures import DataError


def pinned_files(kind: str, source: Path | None, pins: Mapping[str, str]) -> dict[str, bytes]:
    """The published files of a data set, out of a folder of the user's.

    Args:
        kind: of the data set, for messages.
        source: the folder; None where the user named none.
        pins: file name to SHA-256 in hex.

    Raises:
        DataError: no folder was named, a file is missing, or it is not the published one.
    """
    if source is None:
        raise DataError(
            f"{kind} is in no package registry; get its files from its authors and "
            f"type: fedknot data fetch {kind} --from FOLDER"
        )
    missing = [name for name in pins if not (source / name).is_file()]
    if missing:
        raise DataError(f"{source} lacks {missing[0]}; give a folder with {', '.join(pins)}")
    files = {name: (source / name).read_bytes() for name in pins}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != pins[name]:
            raise DataError(
                f"{name} is damaged, edited or of another release; get it anew, or read your copy "
                f"with data.dataset.kind = 'files' (docs/data.md shows it for {kind})"
            )
    return files


def digest(pins: Mapping[str, str]) -> str:
    """One SHA-256 in hex over the pins of all files, in their order."""
    return hashlib.sha256("".join(pins.values()).encode()).hexdigest()
