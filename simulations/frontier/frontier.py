"""A picture from what is asked to its page: attack, run what is missing, then draw."""

import time
from pathlib import Path
from typing import Any

import tomli_w

from common.failures import Failure, FolderError
from common.files import full_disk_is_a_failure, read_json, write_json, write_text
from common.lock import NAME, held
from simulations.events import Progress
from simulations.frontier.asked import Asked, Level, levels, swept
from simulations.frontier.attacked import attacked
from simulations.frontier.report import build_frontier_report
from simulations.frontier.table import Games, tabulate
from simulations.sweeping.grid import cells
from simulations.sweeping.sweep import How, complaint, sweep

ATTACKS, FILE = "attacks", "frontier.toml"


def frontier(asked: Asked, out: Path | None, how: How, progress: Progress) -> Path:
    """Attack and run what is not done yet; write ``frontier.json`` and ``report.html``.

    Args:
        asked: the picture.
        out: a new or empty folder, or one of an earlier call, of which all that fits is kept;
            None for a new one under ``runs/``.
        how: of the runs.
        progress: told ("attacks" or "cells", done, to do).

    Returns:
        The folder.

    Raises:
        ConfigError: it describes nothing that can be run and attacked.
        DataError: data is missing, or too little to attack.
        FolderError: the folder holds something else, or is in use.
    """
    made, folder = levels(asked), (out or _default(asked)).absolute()
    grids = swept(asked, made)
    for grid in grids.values():
        cells(grid)  # refuses what cannot be run before anything is
    with full_disk_is_a_failure():
        _claim(folder)
        with held(folder):
            write_text(folder / FILE, tomli_w.dumps(_told(asked)))
            games = _games(asked, made, folder / ATTACKS, progress)
            tables = {}
            for name, grid in grids.items():
                sweep(grid, folder / name, how, progress)
                tables[name] = read_json(folder / name / "sweep.json")
            table = tabulate(asked, made, tables, games, folder)
            write_text(folder / "report.html", build_frontier_report(table))
            write_json(folder / "frontier.json", table)
    return folder


def failures(folder: Path) -> Failure | None:
    """One line about the runs that failed, with the exit code they have in common, or 1."""
    found = [read_json(path) for path in sorted(folder.glob("*/sweep.json"))]
    both = {"cells": [cell for made in found for cell in made["cells"]]}
    told = complaint(both, folder)
    if told is None:
        return None
    line = str(told).partition("; to try them again")[0]
    return type(told)(f"{line}; to try them again, call with the same --out {folder}")


def _games(asked: Asked, made: tuple[Level, ...], folder: Path, progress: Progress) -> Games:
    folder.mkdir(mode=0o700, exist_ok=True)
    wanted = [(level, seed) for level in made for seed in asked.seeds]
    found = {}
    for done, (level, seed) in enumerate(wanted):
        progress("attacks", done, len(wanted))
        found[level.epsilon, seed] = attacked(level, seed, asked.battery, folder)
    progress("attacks", len(wanted), len(wanted))
    return found


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = {path.name for path in folder.iterdir()} - {NAME}
    except OSError as error:
        why = (error.strerror or "cannot be made").lower()
        raise FolderError(f"cannot write {folder} ({why}); give another --out") from error
    if others and FILE not in others:
        raise FolderError(f"{folder} exists and is not empty; give another --out")


def _told(asked: Asked) -> dict[str, Any]:
    """What was asked, for whoever opens the folder."""
    return {
        "experiment": asked.source,
        "set": list(asked.overrides),
        "private": list(asked.private),
        "epsilons": list(asked.epsilons),
        "bits": list(asked.bits),
        "seeds": list(asked.seeds),
        "battery": asked.battery,
        "full": asked.full,
    }


def _default(asked: Asked) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"frontier-{Path(asked.source).stem}-{stamp}"
