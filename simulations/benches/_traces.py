"""What a complete run leaves: what must be the same every time, and what must not be there."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from common.audit import released, verified
from common.failures import Failure
from common.files import read_lines
from common.lock import NAME
from simulations.folder import summary_of
from simulations.inspection import inspect

STAGES: Final = ("provision", "start", "encode", "teachers", "rounds", "observe")
"""How far a run folder has come, in order."""

_SUMMARY = ("status", "hashes", "student", "intervals", "clients")
_WIRE = ("bytes_up", "bytes_down", "messages", "rejected")
_FILES = ("releases/*/*.bin", "student/*")
_TEMPORARY = (".*.part", "*.tmp")
_SHOWN = 60  # characters of a value that differs


def trace(folder: Path) -> dict[str, str]:
    """What must be the same however often a run was killed, by name; long things by hash.

    These are the figures and hashes of ``summary.json``, the lines of the server's audit log but
    for times, the hashes over them and the order in which answers came, the releases in the
    clients' logs, ``rounds.jsonl`` and ``clients.csv`` but for seconds, and the bytes of releases
    and student.

    Raises:
        Failure: the run is not complete, a chain is broken, or the logs do not agree.
    """
    summary, found = summary_of(folder), inspect(folder, None, None)
    made = {key: json.dumps(summary[key], sort_keys=True) for key in _SUMMARY}
    made |= {f"wire.{key}": str((summary["wire"] or {}).get(key)) for key in _WIRE}
    made["sides agree"] = str(found["sides_agree"])
    log = sorted(map(_lasting, verified(folder / "audit" / "server.jsonl")))
    made["server's audit log"] = _digest(log)
    logs = sorted(folder.glob("audit/client-*.jsonl"))
    made["releases in the clients' logs"] = _digest(sorted(released(verified(p))) for p in logs)
    made["rounds.jsonl"] = _digest(map(_without_seconds, read_lines(folder / "rounds.jsonl")))
    rows = (folder / "clients.csv").read_text().splitlines()
    made["clients.csv"] = _digest(row.rsplit(",", 1)[0] for row in rows)
    paths = sorted(path for pattern in _FILES for path in folder.glob(pattern))
    made |= {str(path.relative_to(folder)): _sha256(path) for path in paths}
    return made


def differences(expected: dict[str, str], folder: Path) -> list[str]:
    """How a run that has ended differs from the undisturbed one; nothing if it does not."""
    try:
        found = trace(folder)
    except (Failure, OSError, ValueError, LookupError, TypeError) as error:
        return [f"cannot be compared: {error}"]
    return [
        f"{name}: {_short(expected.get(name))} -> {_short(found.get(name))}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def litter(folder: Path, cache: Path) -> list[str]:
    """What a complete run should have removed: its lock, temporary files, its site's entry."""
    found = [folder / NAME] if (folder / NAME).exists() else []
    found += [p for home in (folder, cache) for sort in _TEMPORARY for p in home.rglob(sort)]
    found += (cache / "sites").glob("*.json")
    return [f"left behind: {path}" for path in found]


def stage(folder: Path, clients: int) -> str:
    """How far a run folder has come: one of :data:`STAGES`."""
    if not (folder / "checkpoint" / "private" / "provisioned.json").exists():
        return "provision"
    if (folder / "checkpoint" / "server.json").exists():
        return "observe"
    if _count(folder, "clients/*/teacher.safetensors") == clients:
        return "rounds"
    encoded = _count(folder, "clients/*/features.npy")
    if encoded == clients:
        return "teachers"
    return "encode" if encoded else "start"


def newborn(folders: Iterable[Path], since: float) -> set[Path]:
    """Those of Ray's session folders that are empty, ours, younger than ``since`` and unused.

    A command that is killed between making the folder and starting Ray leaves such a one, and
    nothing in it says whose it is.
    """
    return {path for path in folders if _is_newborn(path, since) and not _is_used(path)}


def _is_newborn(path: Path, since: float) -> bool:
    try:
        about = path.stat()
        return about.st_uid == os.getuid() and about.st_mtime >= since and not any(path.iterdir())
    except OSError:
        return False


def _is_used(path: Path) -> bool:
    return any(str(path) in (p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern))


def _lasting(entry: dict[str, Any]) -> str:
    kept = {key: value for key, value in entry.items() if key not in ("time", "previous")}
    return json.dumps(kept, sort_keys=True)


def _without_seconds(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "seconds"}


def _digest(rows: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(rows), sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short(value: str | None) -> str:
    return "missing" if value is None else value[:_SHOWN]
