"""The run folder: made once, for one run, or refused with the reason."""

import contextlib
import itertools
import os
import secrets
import time
from pathlib import Path
from typing import Any

from common.failures import FolderError
from common.files import read_json, write_json
from common.lock import NAME, held

SCHEMA = 1
"""Of run folders, as ``summary.json`` says it; a folder of a higher one is not read."""


def create(out: Path | None, experiment: str, seed: int) -> Path:
    """Make an empty run folder, by default ``runs/<experiment>-<seed>-<time>``.

    Raises:
        FolderError: it exists and is not empty, or cannot be written.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = out or Path("runs") / f"{Path(experiment).stem}-{seed}-{stamp}"
    if out is None and folder.exists():
        folder = folder.with_name(f"{folder.name}-{secrets.token_hex(2)}")
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise FolderError(
                f"{folder} exists and is not empty; give another --out, or --resume it"
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint").mkdir()  # of two that come at once, one gets the folder
        for part in ("audit", "logs", "releases", "clients"):
            (folder / part).mkdir()
        for private in (folder, folder / "clients"):
            private.chmod(0o700)
    except FileExistsError as error:
        raise FolderError(f"{folder} is in use; give another --out") from error
    except OSError as error:
        why = (error.strerror or "cannot be made").lower()
        raise FolderError(
            f"cannot write the run folder {folder} ({why}); give another --out"
        ) from error
    if not os.access(folder, os.W_OK):
        raise FolderError(f"cannot write the run folder {folder}; give another --out")
    return folder.resolve()


def keep_call(folder: Path, **call: Any) -> None:
    """Write how the run was called: name, back end, start; none of it changes results."""
    write_json(folder / "checkpoint" / "call.json", call)


def move_aside(folder: Path) -> Path:
    """Rename a run folder to ``<folder>.old-<n>``, the first n that is free; return the new path.

    Raises:
        FolderError: it is no run folder, in use, or cannot be renamed.
    """
    if not is_run_folder(folder):
        raise FolderError(f"{folder} is not a run folder and is left alone; give another --out")
    numbers = itertools.count(1)
    names = (folder.with_name(f"{folder.name}.old-{n}") for n in numbers)
    aside = next(path for path in names if not path.exists())
    with held(folder):
        try:
            folder.rename(aside)
        except OSError as error:
            why = (error.strerror or "it cannot be renamed").lower()
            raise FolderError(f"cannot move {folder} aside ({why}); give another --out") from error
    (aside / NAME).unlink(missing_ok=True)
    return aside


def is_run_folder(folder: Path) -> bool:
    """Whether a run was begun there, of whatever version of the program."""
    return all((folder / part).is_dir() for part in ("checkpoint", "audit", "clients"))


def read_call(folder: Path) -> dict[str, Any]:
    """What :func:`keep_call` wrote.

    Raises:
        FolderError: the folder is not one of ours.
    """
    try:
        made: dict[str, Any] = read_json(folder / "checkpoint" / "call.json")
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder} is not a run folder; give the folder of a run") from error
    return made


def summary_of(folder: Path) -> dict[str, Any]:
    """The ``summary.json`` of a run, of this version of the program or an earlier one.

    Raises:
        FolderError: there is none that can be read, or it is of a later version.
    """
    refuse_later(folder)
    try:
        made: dict[str, Any] = read_json(folder / "summary.json")
    except (OSError, ValueError) as error:
        raise FolderError(
            f"{folder} has no readable summary.json; the run has not ended"
        ) from error
    return made


def refuse_later(folder: Path) -> None:
    """Let pass only what this version of the program may know how to read.

    A run that has not ended does not say its layout; nor does a summary that is damaged.

    Raises:
        FolderError: the layout is that of a later version.
    """
    schema = 0
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        schema = int(read_json(folder / "summary.json")["schema"])
    if schema > SCHEMA:
        raise FolderError(
            f"{folder} was written by a later version of fedknot (schema {schema}, this one "
            f"reads up to {SCHEMA}); install that version to read it"
        )
