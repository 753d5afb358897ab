"""What the server commits after every round, and how the newest whole commit is found again.

``checkpoint/<round>/`` holds parts, each written whole, and at last a manifest with their
hashes. The manifest is the commit: what has none, or does not agree with it, is not used, and
the checkpoint before is. Neither is one whose audit log or releases are not on disk any more as
they were. Only bytes here; what they mean is in :mod:`server.memory`.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.audit import Mark, released, verified_until
from common.failures import CheckFailed
from common.files import write_bytes

KEPT = 2
"""So many checkpoints are kept: the newest, and the one to go back to if it is damaged."""

MANIFEST = "manifest.json"
PARTS = (
    "student.safetensors",
    "weighting.safetensors",
    "geometry.safetensors",
    "weights.safetensors",
    "record.json",
)
CONSENSUS = "consensus.bin"
CACHE = "cache.safetensors"
EXTRAS = (CONSENSUS, CACHE)
"""Parts that only some runs have; the manifest says whether there is one."""

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A round that was committed.

    Attributes:
        round: which one.
        parts: of :data:`PARTS` and :data:`EXTRAS`, by name, as they were written.
    """

    round: int
    parts: Mapping[str, bytes]

    @property
    def record(self) -> dict[str, Any]:
        """The part that is JSON: tallies, lines of rounds, how far the log had come."""
        made: dict[str, Any] = json.loads(self.parts["record.json"])
        return made

    @property
    def mark(self) -> Mark:
        """How far the server's log had come."""
        return Mark(**self.record["audit"])


class _Unusable(Exception):
    """Why a checkpoint is passed over, in a few words."""


def commit(folder: Path, run: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint: the parts, then the manifest; then drop what is older than two.

    Args:
        folder: the run folder.
        run: the id of the run.
        checkpoint: of the round that has just ended.
    """
    home = _home(folder, checkpoint.round)
    home.mkdir(parents=True, exist_ok=True)
    (home / MANIFEST).unlink(missing_ok=True)  # of the same round, damaged: no longer true
    for name in (*PARTS, *(name for name in EXTRAS if name in checkpoint.parts)):
        write_bytes(home / name, checkpoint.parts[name])
    write_bytes(home / MANIFEST, _manifest(run, checkpoint))
    for old in rounds(folder)[KEPT:]:
        (_home(folder, old) / MANIFEST).unlink(missing_ok=True)  # first, so no half is trusted
        shutil.rmtree(_home(folder, old))


def newest(folder: Path, run: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole and that the run folder bears out.

    Args:
        folder: the run folder.
        run: the id of the run.

    Returns:
        The checkpoint, or None if the run has to begin with its first round; and of each newer
        one that is passed over, which it is and why.
    """
    passed = []
    for number in rounds(folder):
        try:
            found = _opened(folder, run, number)
            _borne_out(folder, found)
        except _Unusable as reason:
            passed.append(f"the checkpoint of round {number} is not used ({reason})")
        else:
            return found, passed
    return None, passed


def rounds(folder: Path) -> list[int]:
    """The rounds that have a checkpoint, whole or not, the newest first."""
    home = folder / "checkpoint"
    names = [path.name for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def _home(folder: Path, number: int) -> Path:
    return folder / "checkpoint" / str(number)


def _manifest(run: str, checkpoint: Checkpoint) -> bytes:
    """The one manifest for these parts; what is read must be this, byte for byte."""
    parts = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(checkpoint.parts.items())
    }
    told = {"schema": _SCHEMA, "run": run, "round": checkpoint.round, "parts": parts}
    return (json.dumps(told, indent=1) + "\n").encode()


def _opened(folder: Path, run: str, number: int) -> Checkpoint:
    """A checkpoint whose parts are those that its manifest names."""
    home = _home(folder, number)
    if not (home / MANIFEST).is_file():
        raise _Unusable("it was not finished")
    try:
        names = (*PARTS, *(name for name in EXTRAS if (home / name).exists()))
        found = Checkpoint(number, {name: (home / name).read_bytes() for name in names})
        written = (home / MANIFEST).read_bytes()
    except OSError as error:
        raise _Unusable("a part cannot be read") from error
    if written == _manifest(run, found):
        return found
    raise _Unusable(f"{_culprit(written, found)} is damaged")


def _culprit(written: bytes, found: Checkpoint) -> str:
    """The part that is not what the manifest says, or the manifest itself."""
    try:
        said = json.loads(written)["parts"]
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.parts.items()}
        return next(name for name, digest in digests.items() if said[name]["sha256"] != digest)
    except (ValueError, LookupError, TypeError, StopIteration):
        return MANIFEST


def _borne_out(folder: Path, checkpoint: Checkpoint) -> None:
    """The log up to there and every release it names must be on disk as they were."""
    try:
        entries = verified_until(folder / "audit" / "server.jsonl", checkpoint.mark)
    except (OSError, CheckFailed) as error:
        raise _Unusable("the audit log has been changed") from error
    for server_round, client, sha256 in sorted(released(entries)):
        path = folder / "releases" / str(server_round) / f"{client}.bin"
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise _Unusable(f"releases/{server_round}/{client}.bin is damaged")
