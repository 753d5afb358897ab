"""Go on with a run that was interrupted, killed or failed: ``fedknot run --resume DIR``."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from common.configure import dump
from common.failures import FolderError
from common.lock import NAME, held
from common.terms import Terms
from server.checkpoint import newest
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.folder import is_run_folder, read_call, refuse_later, summary_of
from simulations.identity import changes, has_identity, refusal, refuse_change
from simulations.owned_cluster import remove_sessions
from simulations.runner import Backend, carry_out, chosen

_ENDING_SECONDS = 20.0
_POLL_SECONDS = 0.2


def resume(
    folder: Path,
    experiment: Experiment | None,
    name: str | None,
    *,
    backend: Backend | None,
    address: str | None,
    progress: Progress,
    say: Callable[[str], None],
) -> Path:
    """Do what is left of a run; what was done is kept, and the result has the same bits.

    Args:
        folder: the run folder.
        experiment: what the folder must hold, or None for whatever it holds.
        name: of that experiment, or None.
        backend: where the rest is done; None for where the run was begun.
        address: of an existing Ray cluster, or None.
        progress: told (phase, done, total).
        say: told, in one line, what a person should know beside.

    Returns:
        The folder, complete.

    Raises:
        FolderError: the folder is in use, holds another run, or none that can be gone on with.
        Failure: as :func:`simulations.runner.execute`.
    """
    if not is_run_folder(folder):
        raise FolderError(f"{folder} is not a run folder; give the folder of a run")
    folder = folder.resolve()
    refuse_later(folder)
    if _is_complete(folder, experiment):
        with held(folder):  # killed in its last moment, it left its lock
            remove_sessions(folder)
        say(f"{folder} is complete; nothing is left to do")
        return folder
    with held(folder) as killed:
        if killed:
            _await_parts(folder)
        made = _known(folder, experiment)
        call = _call(folder, name, backend, address)
        remove_sessions(folder)
        _tidy(folder)
        _warn(folder, say)
        carry_out(made, folder, call, address, progress)
    return folder


def _is_complete(folder: Path, experiment: Experiment | None) -> bool:
    """Whether there is nothing left to do, in a run of that experiment."""
    try:
        done = bool(summary_of(folder)["status"] == "complete")
    except (FolderError, LookupError, TypeError):
        return False
    if done and experiment is not None:
        begun = dump(read(str(folder / "experiment.toml")))
        if changed := changes(begun, dump(experiment)):
            raise refusal(folder, changed)
    return done


def _known(folder: Path, experiment: Experiment | None) -> Experiment:
    """The experiment of the folder, once it is clear that nothing about it has changed."""
    written = folder / "experiment.toml"
    if has_identity(folder):
        begun = read(str(written))
        refuse_change(folder, begun)
        if experiment is not None:
            refuse_change(folder, experiment)
        return begun
    if (folder / "terms.json").exists():
        raise FolderError(
            f"{folder} was begun by a version that could not resume; it can be read, but not "
            "continued: write --force-new-run to move it aside and start anew"
        )
    if experiment is None and not written.exists():
        raise FolderError(f"{folder} ended before it said what it is; name the experiment, too")
    return experiment or read(str(written))


def _call(
    folder: Path, name: str | None, backend: Backend | None, address: str | None
) -> dict[str, Any]:
    """How the run is called now; the time in which nobody worked on it is not counted."""
    try:
        before = read_call(folder)
    except FolderError:  # killed in its first moments
        before = {"experiment": Path(name or "experiment").stem, "started": time.time()}
    begun_on: Backend = "inline" if before.get("backend") == "inline" else "ray"
    worked = max(0.0, _last_sign(folder) - before["started"])
    return before | {
        "backend": chosen(backend or begun_on, address),
        "started": time.time() - worked,
        "resumed": before.get("resumed", 0) + 1,
    }


def _last_sign(folder: Path) -> float:
    """When something was last written that every run writes now and then."""
    named = ("checkpoint/call.json", "audit/server.jsonl", "summary.json", "terms.json")
    paths = [folder / name for name in named] + list(folder.glob("checkpoint/*/manifest.json"))
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _tidy(folder: Path) -> None:
    """Remove the old summary and what killed writers left of files; neither is read again."""
    (folder / "summary.json").unlink(missing_ok=True)
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def _warn(folder: Path, say: Callable[[str], None]) -> None:
    """Say, in one line, which checkpoints cannot be used and where the run goes on."""
    with contextlib.suppress(OSError, ValueError, TypeError):  # not provisioned yet
        found, passed = newest(folder, Terms.read(folder / "terms.json").run)
        if passed:
            begun = "the first round" if found is None else f"the end of round {found.round}"
            say(f"warning: {'; '.join(passed)}; going on from {begun}")


def _await_parts(folder: Path) -> None:
    """Parts of a killed run notice that and end by themselves; wait until they have.

    Raises:
        FolderError: some do not.
    """
    end = time.monotonic() + _ENDING_SECONDS
    while pids := _parts(folder):
        if time.monotonic() > end:
            listed = ", ".join(map(str, pids))
            raise FolderError(
                f"{folder} is in use by what is left of a killed run (process {listed}); end it, "
                f"and delete {folder / NAME} if it is there"
            )
        time.sleep(_POLL_SECONDS)


def _parts(folder: Path) -> list[int]:
    """Processes other than this one that were started as a part of the folder's run."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = process.info["cmdline"] or []
        own = process.info["pid"] == os.getpid()
        dead = process.info["status"] == psutil.STATUS_ZOMBIE
        if "simulations" in words and str(folder) in words and not own and not dead:
            found.append(process.info["pid"])
    return found
