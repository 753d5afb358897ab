"""The way in: run what is missing of a league, run by run, then write what there is."""

import contextlib
import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.configure import unknown
from common.failures import KINDS, ConfigError, DataError, Failure
from common.files import full_disk_is_a_failure, write_json, write_text
from simulations.comparing.notebook import claimed
from simulations.crews.crew import Crew, Place, await_orphans
from simulations.events import Progress
from simulations.finished import one_thread
from simulations.ranking.definition import League, Stage, leagues, read_league
from simulations.ranking.files import results_csv, results_md
from simulations.ranking.notebook import SHELF, Notebook, key_of
from simulations.ranking.report import build_league_report
from simulations.ranking.table import tabulate
from simulations.ranking.task import RUNS, Errand, Task, measure, tasks_of


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


def run_league(call: Call, out: Path | None, progress: Progress, jobs: int = 1) -> Path:
    """Measure what is missing; write ``league.json``, its tables and ``report.html``.

    Args:
        call: what is asked for.
        out: a new or empty folder, or one begun with the same league and stage, in which cells
            that are there are kept; None for a new one under ``runs/``.
        progress: told ("cells", cells done, cells in all).
        jobs: runs at a time, each in a process of its own if there are several. It has no say
            in the figures, but in the seconds.

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
    with claimed(folder), full_disk_is_a_failure():
        await_orphans(_place(folder))
        notebook = Notebook(folder, league, call.stage)
        found = {task: notebook.missing(task.cells) for task in tasks}
        skipped = _run(call, found, folder, jobs, progress)
        notebook.reread()
        _write(folder, tabulate(Path(call.name).stem, league, call.stage,
                                _found(league, call.stage, notebook), skipped))  # fmt: skip
        for part in (SHELF, RUNS):  # what is private does not outlive its use
            shutil.rmtree(folder / part, ignore_errors=True)
    return folder


def _tasks(league: League, call: Call) -> Iterator[Task]:
    """Every run that is wanted, in the order of settings and seeds."""
    seeds = _seeds(league, call)
    known = [setting.name for setting in league.settings]
    for name in call.only:
        if name not in known:
            raise ConfigError(unknown("setting", name, known))
    for setting in league.settings:
        if not call.only or setting.name in call.only:
            for seed in seeds:
                yield from tasks_of(league, setting, call.stage, seed)


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
    call: Call, found: dict[Task, list[str]], folder: Path, jobs: int, progress: Progress
) -> dict[str, str]:
    """Measure; return which settings cannot be had, and why."""
    total, done = sum(map(len, found.values())), 0
    skipped: dict[str, str] = {}
    progress("cells", done, total)
    wanted = {task: missing for task, missing in found.items() if missing}
    with contextlib.closing(_ends(call, wanted, folder, jobs)) as ends:
        for task, failure in ends:
            if isinstance(failure, DataError):
                skipped.setdefault(task.setting.name, str(failure))
            elif failure is not None:
                raise failure
            done += len(wanted[task])
            progress("cells", done, total)
    return skipped


def _ends(
    call: Call, wanted: dict[Task, list[str]], folder: Path, jobs: int
) -> Generator[tuple[Task, Failure | None], None, None]:
    """Every task with how it ended, as they end."""
    if jobs == 1 or len(wanted) == 1:
        yield from _here(call, wanted, folder)
        return
    name = call.name if call.name in leagues() else str(Path(call.name).absolute())
    errands = {
        Errand(name, call.stage, task.setting.name, task.seed, task.number, str(folder),
               tuple(missing)): task
        for task, missing in wanted.items()
    }  # fmt: skip
    crew = Crew(_place(folder), min(jobs, len(errands)))
    with contextlib.closing(crew.work(list(errands))) as ends:
        for errand, ended in ends:
            failure = None
            if ended is not None:
                failure = KINDS.get(ended["exit_code"], Failure)(ended["line"])
            yield errands[errand], failure


def _here(
    call: Call, wanted: dict[Task, list[str]], folder: Path
) -> Iterator[tuple[Task, Failure | None]]:
    """In this process; of a setting without data only the first is tried."""
    gone: set[str] = set()
    with one_thread():
        for task, missing in wanted.items():
            failure = None
            if task.setting.name not in gone:
                try:
                    measure(task, call.stage, folder, missing)
                except DataError as error:
                    failure = error
                    gone.add(task.setting.name)
            yield task, failure


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
                row = notebook.get(key_of(setting.name, arm, experiment, seed), experiment)
                if row is not None:
                    rows[arm.name, seed] = row
    return made


def _write(folder: Path, made: dict[str, Any]) -> None:
    write_text(folder / "results.csv", results_csv(made))
    write_text(folder / "results.md", results_md(made))
    write_text(folder / "report.html", build_league_report(made))
    write_json(folder / "league.json", made)


def _place(folder: Path) -> Place:
    return Place("simulations.ranking.worker", folder, "workers.log")


def _default(call: Call) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{Path(call.name).stem}-{call.stage}-{stamp}"
