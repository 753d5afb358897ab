"""The way in: run what is missing of a league, cell by cell, then write what there is."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.configure import unknown
from common.failures import ConfigError, DataError
from common.files import full_disk_is_a_failure, write_json, write_text
from simulations.comparing.notebook import claimed
from simulations.events import Progress
from simulations.finished import one_thread, seeded
from simulations.ranking.cells import cell, check
from simulations.ranking.definition import League, Setting, Stage, read_league
from simulations.ranking.files import results_csv, results_md
from simulations.ranking.groups import Group, grouped
from simulations.ranking.notebook import SHELF, Notebook, key_of
from simulations.ranking.report import build_league_report
from simulations.ranking.scene import staged
from simulations.ranking.table import tabulate

RUNS = "runs"
"""Run folders in work; gone when all is measured, like the features of private texts."""


@dataclass(frozen=True)
class Call:
    """How a league was called.

    Attributes:
        name: shipped, or a file.
        stage: ``choose`` grades on the validation slice, ``final`` on test rows.
        only: names of the settings that are run now; none for all.
        seeds: of those of the league, which are run now; None for all.
    """

    name: str
    stage: Stage = "final"
    only: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _Task:
    """All that learns from one run's predictions."""

    setting: Setting
    seed: int
    group: Group


def run_league(call: Call, out: Path | None, progress: Progress) -> Path:
    """Measure what is missing; write ``league.json``, its tables and ``report.html``.

    Args:
        call: what is asked for.
        out: a new or empty folder, or one begun with the same league and stage, in which cells
            that are there are kept; None for a new one under ``runs/``.
        progress: told ("cells", cells done, cells in all).

    Returns:
        The folder.

    Raises:
        ConfigError: there is no such league or setting, or an arm is no runnable experiment.
        FolderError: the folder holds something else, or is in use.
        CheckFailed: predictions that were replayed gave another student than the run itself.
    """
    league = read_league(call.name)
    tasks = list(_tasks(league, call))
    folder = (out or _default(call)).absolute()
    with claimed(folder), full_disk_is_a_failure(), one_thread():
        notebook = Notebook(folder, league, call.stage)
        skipped = _run(call, tasks, notebook, progress)
        _write(folder, tabulate(Path(call.name).stem, league, call.stage,
                                _found(league, call.stage, notebook), skipped))  # fmt: skip
        for part in (SHELF, RUNS):  # what is private does not outlive its use
            shutil.rmtree(folder / part, ignore_errors=True)
    return folder


def _tasks(league: League, call: Call) -> Iterator[_Task]:
    """Every run that is wanted, in the order of settings and seeds."""
    seeds = _seeds(league, call)
    known = [setting.name for setting in league.settings]
    for name in call.only:
        if name not in known:
            raise ConfigError(unknown("setting", name, known))
    for setting in league.settings:
        if not call.only or setting.name in call.only:
            for seed in seeds:
                for group in grouped(league, setting, call.stage, seed):
                    yield _Task(setting, seed, group)


def _seeds(league: League, call: Call) -> tuple[int, ...]:
    whole = league.choosing.seeds if call.stage == "choose" else league.seeds
    if not whole:
        raise ConfigError(f"the league {call.name} is for choosing only; write --stage choose")
    if missing := set(call.seeds or ()) - set(whole):
        raise ConfigError(
            f"--seeds: the league has no seed {min(missing)} in this stage; write some of "
            f"{','.join(map(str, whole))}"
        )
    return call.seeds or whole


def _run(
    call: Call, tasks: Sequence[_Task], notebook: Notebook, progress: Progress
) -> dict[str, str]:
    """Measure; return which settings cannot be had, and why."""
    total, done = sum(len(task.group.arms) for task in tasks), 0
    skipped: dict[str, str] = {}
    progress("cells", done, total)
    for number, task in enumerate(tasks):
        if task.setting.name not in skipped:
            try:
                _measure(call, task, notebook, notebook.folder / RUNS / str(number))
            except DataError as error:
                skipped[task.setting.name] = str(error)
        done += len(task.group.arms)
        progress("cells", done, total)
    return skipped


def _measure(call: Call, task: _Task, notebook: Notebook, home: Path) -> None:
    """All arms of one run that are not measured yet."""
    wanted = {
        key: (arm, experiment)
        for arm, experiment in task.group.arms
        if notebook.get(key := key_of(task.setting.name, arm, experiment, task.seed)) is None
    }
    if not wanted:
        return
    home.parent.mkdir(mode=0o700, exist_ok=True)
    about = {"setting": task.setting.name, "seed": task.seed}
    try:
        base, shelf = seeded(task.group.base, task.seed), notebook.folder / SHELF
        scene = staged(base, task.setting.name, home, shelf, call.stage)
    except ConfigError as error:  # this split, or this loss, cannot be had
        for key, (arm, _) in wanted.items():
            notebook.add(key, about | {"arm": arm.name, "refused": str(error)})
        return
    check(scene, task.group)
    for key, (arm, experiment) in wanted.items():
        notebook.add(key, about | {"arm": arm.name} | cell(scene, task.group, arm, experiment))
    shutil.rmtree(home, ignore_errors=True)


def _found(
    league: League, stage: Stage, notebook: Notebook
) -> dict[str, dict[tuple[str, int], dict[str, Any]]]:
    """All that is known, by setting, arm and seed."""
    made: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for setting in league.settings:
        rows = made.setdefault(setting.name, {})
        for arm in league.arms_of(setting):
            experiment = league.experiment(setting, arm, stage)
            for seed in league.seeds_of(arm, stage):
                row = notebook.get(key_of(setting.name, arm, experiment, seed))
                if row is not None:
                    rows[arm.name, seed] = row
    return made


def _write(folder: Path, made: dict[str, Any]) -> None:
    write_text(folder / "results.csv", results_csv(made))
    write_text(folder / "results.md", results_md(made))
    write_text(folder / "report.html", build_league_report(made))
    write_json(folder / "league.json", made)


def _default(call: Call) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{Path(call.name).stem}-{call.stage}-{stamp}"
