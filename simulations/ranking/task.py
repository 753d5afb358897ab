"""One run of a league and all that learns from its predictions: what a process does at a time."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.failures import ConfigError
from simulations.experiment import Experiment
from simulations.finished import one_thread, seeded
from simulations.identity import contents
from simulations.ranking.cells import cell, check
from simulations.ranking.definition import League, Setting, Stage, read_league
from simulations.ranking.groups import Group, grouped
from simulations.ranking.notebook import CONTENT, SHELF, append, key_of
from simulations.ranking.scene import staged

RUNS = "runs"
"""Run folders in work; gone when all is measured, like the features of private texts."""


@dataclass(frozen=True, eq=False)
class Task:
    """All that learns from one run's predictions.

    Attributes:
        setting: the world.
        seed: of the run.
        number: of the group among those of setting and seed.
        group: the arms.
    """

    setting: Setting
    seed: int
    number: int
    group: Group

    @property
    def keys(self) -> list[str]:
        """Of the cells, in the order of the arms."""
        arms = self.group.arms
        return [key_of(self.setting.name, arm, made, self.seed) for arm, made in arms]

    @property
    def cells(self) -> list[tuple[str, Experiment]]:
        """Key and experiment of each cell."""
        return [(key, made) for key, (_, made) in zip(self.keys, self.group.arms, strict=True)]


def tasks_of(league: League, setting: Setting, stage: Stage, seed: int) -> Iterator[Task]:
    """The runs of a setting with a seed."""
    for number, group in enumerate(grouped(league, setting, stage, seed)):
        yield Task(setting, seed, number, group)


@dataclass(frozen=True)
class Errand:
    """A task as another process is told of it.

    Attributes:
        league: a shipped name, or the absolute path of a file.
        stage: which rows grade.
        setting: its name.
        seed: of the run.
        number: of the group.
        folder: of the league.
        missing: keys of the cells that are wanted.
    """

    league: str
    stage: Stage
    setting: str
    seed: int
    number: int
    folder: str
    missing: tuple[str, ...]

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(vars(self))

    @classmethod
    def read(cls, line: str) -> "Errand":
        """The errand that :meth:`line` wrote."""
        told = json.loads(line)
        return cls(**told | {"missing": tuple(told["missing"])})

    def run(self) -> None:
        """Measure; cells are in the league's folder as soon as each is known.

        Raises:
            Failure: as :func:`measure`.
        """
        league = read_league(self.league)
        setting = next(made for made in league.settings if made.name == self.setting)
        task = list(tasks_of(league, setting, self.stage, self.seed))[self.number]
        with one_thread():
            measure(task, self.stage, Path(self.folder), self.missing)


def measure(task: Task, stage: Stage, folder: Path, missing: Sequence[str]) -> None:
    """Append the missing cells of a task to the league's folder.

    Raises:
        DataError: the setting's data cannot be had.
        CheckFailed: predictions that were replayed gave another student than the run itself.
    """
    wanted = {
        key: made for key, made in zip(task.keys, task.group.arms, strict=True) if key in missing
    }
    # Before anything of it is read, so that a change meanwhile is found the next time.
    about = {
        key: {"setting": task.setting.name, "seed": task.seed, "arm": arm.name} | _read(made)
        for key, (arm, made) in wanted.items()
    }
    home = folder / RUNS / f"{task.setting.name}-{task.seed}-{task.number}"
    home.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        base = seeded(task.group.base, task.seed)
        scene = staged(base, task.setting.name, home, folder / SHELF, stage)
    except ConfigError as error:  # this split, or this loss, cannot be had
        for key in wanted:
            append(folder, key, about[key] | {"refused": str(error)})
        return
    check(scene, task.group)
    for key, (arm, experiment) in wanted.items():
        append(folder, key, about[key] | cell(scene, task.group, arm, experiment))
    shutil.rmtree(home, ignore_errors=True)


def _read(experiment: Experiment) -> dict[str, dict[str, str]]:
    """What the user's files held, as far as the experiment reads any."""
    found = contents(experiment)
    return {CONTENT: found} if found else {}
