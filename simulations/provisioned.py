"""The seal on what *provision* wrote: that it was finished, and is still as it was."""

import hashlib
import json
from pathlib import Path
from typing import Any

from clients.store import Store
from common.files import flush_all, read_json, read_lines, write_json
from common.sites import register
from common.terms import Terms
from common.transfer import TransferSet
from simulations.identity import PRIVATE, changes, refusal

_SEAL = PRIVATE / "provisioned.json"
_FILES = ("terms.json", "validation.jsonl", "checkpoint/plan.json", "split.json")


def seal(folder: Path) -> None:
    """Say that the folder is provisioned, and how; last, so its presence is proof."""
    flush_all()  # a seal that outlives a power cut must find what it speaks of
    (folder / PRIVATE).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder / _SEAL, _found(folder), mode=0o600)


def is_sealed(folder: Path) -> bool:
    """Whether *provision* came to its end in this folder."""
    return (folder / _SEAL).is_file()


def reopen(folder: Path) -> None:
    """Have a sealed folder go on: every party holds what it held, the site answers again.

    Stores find the public files by path; if the folder was moved, they are told.

    Raises:
        FolderError: something else is there now, such as other transfer texts or one client less.
    """
    if changed := changes(read_json(folder / _SEAL), _found(folder)):
        raise refusal(folder, changed)
    for path in _stores(folder):
        Store(path).move_public(folder)
    register(Terms.read(folder / "terms.json").site, folder / "clients")


def _found(folder: Path) -> dict[str, Any]:
    """What lies there, by hash."""
    stores = _stores(folder)
    return {
        "transfer_set": _texts(folder / "transfer.jsonl"),
        "num_clients": len(stores),
        "files": {name: _sha256(folder / name) for name in _FILES},
        "clients": {path.name: _store(Store(path)) for path in stores},
    }


def _stores(folder: Path) -> list[Path]:
    found = [path for path in (folder / "clients").iterdir() if path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


def _store(store: Store) -> str | None:
    """A client's settings and texts; not where the public files lie."""
    try:
        about = store.about() | {"public": None}
    except (OSError, ValueError):
        return None
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update((_sha256(store.root / "shard.jsonl") or "missing").encode())
    return digest.hexdigest()


def _texts(path: Path) -> str | None:
    """The hash of a transfer set, whatever the layout of its file."""
    try:
        return TransferSet(tuple(row["text"] for row in read_lines(path))).sha256
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
