"""A sweep from what is asked to its report: run what is missing, then write what there is."""

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.failures import KINDS, ConfigError, Failure
from common.files import full_disk_is_a_failure, write_json, write_text
from common.lock import held
from simulations.crews.crew import Crew, Place, await_orphans
from simulations.events import Progress
from simulations.runner import Backend, chosen
from simulations.sweeping.asked import Asked
from simulations.sweeping.cell import Order
from simulations.sweeping.files import cells_csv, means_csv, results_csv, write_parquet
from simulations.sweeping.grid import Cell, cells
from simulations.sweeping.notebook import LOGS, TEACHERS, Notebook, make
from simulations.sweeping.report import write_sweep_report
from simulations.sweeping.table import tabulate

Keep = Literal["figures", "all"]

_NAMED = 3


@dataclass(frozen=True)
class How:
    """What has no say in the figures.

    Attributes:
        backend: of every run.
        jobs: how many run at a time.
        keep: "figures" for what tables need of each run folder, "all" for all of it.
    """

    backend: Backend = "inline"
    jobs: int = 1
    keep: Keep = "figures"


def sweep(asked: Asked, out: Path | None, how: How, progress: Progress) -> Path:
    """Run every cell that is not complete; write ``sweep.json``, tables and report.

    A cell that fails is noted, and the others go on.

    Args:
        asked: the grid.
        out: a new or empty folder, or one of a sweep over the same experiment, of which
            fitting cells are kept; None for a new one under ``runs/``. Cells whose files hold
            something else now are run anew, and a note says so.
        how: what has no say in the figures.
        progress: told ("cells", cells done, cells to do).

    Returns:
        The folder.

    Raises:
        ConfigError: a cell is no runnable experiment.
        FolderError: the folder holds something else, or is in use.
    """
    backend = chosen(how.backend, None)
    if how.jobs < 1 or how.keep not in ("figures", "all"):
        raise ConfigError("a sweep needs at least 1 job, and keeps 'figures' or 'all'")
    grid = cells(asked)
    folder = (out or _default(asked.name)).absolute()
    with full_disk_is_a_failure():
        make(folder)
        with held(folder) as killed:
            if killed:
                await_orphans(_place(folder))
            notebook = Notebook(folder, asked)
            outdated = sum(map(notebook.is_outdated, grid))
            _run(asked, grid, notebook, How(backend, how.jobs, how.keep), progress)
            _write(folder, _noted(tabulate(asked, grid, notebook), outdated))
            if all(notebook.figures(cell) for cell in grid):
                shutil.rmtree(folder / TEACHERS, ignore_errors=True)
    return folder


def complaint(made: dict[str, Any], folder: Path) -> Failure | None:
    """One line about the cells that failed, with the exit code they have in common, or 1."""
    failed = [cell for cell in made["cells"] if cell["status"] != "complete"]
    if not failed:
        return None
    codes = {cell["exit_code"] for cell in failed}
    kind = KINDS.get(codes.pop(), Failure) if len(codes) == 1 else Failure
    named = ", ".join(cell["name"] for cell in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return kind(
        f"{len(failed)} of {len(made['cells'])} cells failed: {named}{more}; the first one's "
        f"reason: {failed[0]['reason']}; to try them again: fedknot sweep --resume {folder}"
    )


def _run(asked: Asked, grid: list[Cell], notebook: Notebook, how: How, progress: Progress) -> None:
    names = {notebook.home(cell): cell.name for cell in grid}
    orders = [
        Order(notebook.home(cell), asked.name, cell.experiment, how.backend, how.keep == "all")
        for cell in grid
        if notebook.figures(cell) is None
    ]
    if not orders:
        return
    progress("cells", 0, len(orders))
    crew = Crew(_place(notebook.folder), min(how.jobs, len(orders)))
    with contextlib.closing(crew.work(orders)) as ends:
        for done, (order, ended) in enumerate(ends, start=1):
            notebook.note(names[order.home], ended)
            progress("cells", done, len(orders))


def _noted(made: dict[str, Any], outdated: int) -> dict[str, Any]:
    """Figures that were known and are others now are not passed over."""
    if outdated:
        told = "1 cell was" if outdated == 1 else f"{outdated} cells were"
        made["notes"].append(f"{told} run anew, for the data has changed since")
    return made


def _place(folder: Path) -> Place:
    return Place("simulations.sweeping.worker", folder, f"{LOGS}/cells.log")


def _write(folder: Path, made: dict[str, Any]) -> None:
    write_text(folder / "results.csv", results_csv(made))
    write_parquet(folder)
    write_text(folder / "means.csv", means_csv(made))
    write_text(folder / "cells.csv", cells_csv(made))
    write_sweep_report(folder, made)
    write_json(folder / "sweep.json", made)


def _default(name: str) -> Path:
    return Path("runs") / f"sweep-{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
