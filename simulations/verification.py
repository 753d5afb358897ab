"""``fedknot verify``: do a run once more and compare, phase by phase, what came of it."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from common.audit import released, verified
from common.failures import CheckFailed, Failure, FolderError
from common.files import read_json, read_lines
from common.sites import forget
from common.terms import Terms
from common.transfer import TransferSet
from server.archive import open_student
from server.students import fingerprint
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.folder import create, summary_of
from simulations.identity import identity_changes
from simulations.loop import federate
from simulations.provision import provision

_DATA = {"corpus_sha256": "texts and labels", "beside_sha256": "groups and raters"}
_SPLIT = ("clients", "transfer", "validation", "test")


def verify(folder: Path, progress: Progress) -> dict[str, Any]:
    """Run the experiment of a complete run again, in this process, and compare hashes.

    The second run lives in a private temporary folder, which is removed.

    Args:
        folder: the run folder; nothing in it is changed.
        progress: told (phase, done, total).

    Returns:
        ``equal`` and the hashes that are; in which phases. Where noise came from the operating
        system, ``equal`` is None and nothing is run: no second run can have the same.

    Raises:
        FolderError: the run is not complete.
        CheckFailed: something differs; the first difference, in the order of the phases, is named.
    """
    summary = summary_of(folder)
    if summary["status"] != "complete":
        raise FolderError(f"{folder} holds a run that is {summary['status']}; resume it first")
    experiment = read(str(folder / "experiment.toml"))
    noisy = (experiment.clients.mechanism, experiment.server.hiding)
    if any(one is not None and one.private for one in noisy):
        return {"equal": None, "hashes": summary["hashes"]}
    with tempfile.TemporaryDirectory(prefix="fedknot-verify-") as home:
        again = _again(experiment, Path(home) / "run", progress)
        for phase, was, now in _phases(folder, again, summary):
            if was != now:
                raise CheckFailed(_told(folder, experiment, phase, was, now))
    return {"equal": True, "hashes": summary["hashes"]}


def lines(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    told = [f"  {name:14}{digest}" for name, digest in found["hashes"].items()]
    if found["equal"] is None:
        return ["not comparable: the noise came from the operating system, as it should", *told]
    return ["equal: the same experiment gives the same bits", *told]


def _again(experiment: Experiment, folder: Path, progress: Progress) -> Path:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = create(folder, "verify", experiment.seed)
    try:
        provision(experiment, made, progress)
        federate(made, progress)
    finally:
        torch.set_num_threads(threads)  # it is the caller's process
        if (made / "terms.json").exists():
            forget(Terms.read(made / "terms.json").site)
    return made


def _phases(folder: Path, again: Path, summary: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What is compared, in the order in which a run makes it: (phase, was, is)."""
    was, now = _split(folder), _split(again)
    for key, what in _DATA.items():
        if key in was:  # runs of earlier versions do not say
            yield f"the data set ({what})", was[key], now.get(key)
    for part in _SPLIT:
        yield f"the split ({part})", was.get(part), now.get(part)
    texts = _texts(again)
    yield "the transfer set", _texts(folder), texts
    yield "the transfer set (summary.json)", summary["hashes"]["transfer_set"], texts
    logged, made = _releases(folder), _releases(again)
    secure = Terms.read(folder / "terms.json").secure is not None
    # Masks are new in every run; what they hide is compared as the predictions.
    for number, client in () if secure else sorted(logged.keys() | made.keys()):
        what = f"the release of client {client} in round {number}"
        yield f"{what} (audit log)", logged.get((number, client)), made.get((number, client))
        yield what, _file(folder, number, client), _file(again, number, client)
    outcome = read_json(again / "checkpoint" / "server.json")
    said = summary["hashes"]
    yield "predictions (summary.json)", said["predictions"], outcome["predictions_sha256"]
    yield "the student", _student(folder), outcome["student_sha256"]
    yield "the student (summary.json)", said["student"], outcome["student_sha256"]


def _split(folder: Path) -> dict[str, str]:
    """A hash for every part of the split, and for the data."""
    try:
        table = read_json(folder / "split.json")
        kept = [*_SPLIT, *(key for key in _DATA if key in table)]
        return {part: _digest(repr(table[part]).encode()) for part in kept}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _texts(folder: Path) -> str | None:
    try:
        rows = read_lines(folder / "transfer.jsonl")
        return TransferSet(tuple(row["text"] for row in rows)).sha256
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _releases(folder: Path) -> dict[tuple[int, int], str]:
    """The hash of every accepted byte string, as the server logged it."""
    entries = verified(folder / "audit" / "server.jsonl")
    return {(number, client): digest for number, client, digest in released(entries)}


def _file(folder: Path, number: int, client: int) -> str | None:
    path = folder / "releases" / str(number) / f"{client}.bin"
    return _digest(path.read_bytes()) if path.is_file() else None


def _student(folder: Path) -> str | None:
    try:
        return fingerprint(open_student(folder))
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError, Failure):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _told(folder: Path, experiment: Experiment, phase: str, was: Any, now: Any) -> str:
    """One line; where the program or the system has changed since, that is the first suspect."""
    changed = identity_changes(folder, experiment)
    why = f"; since then: {'; '.join(changed)}" if changed else ""
    return f"{phase} differs: {_short(was)} in {folder}, {_short(now)} when run again{why}"


def _short(digest: str | None) -> str:
    return "missing" if digest is None else digest[:16]
