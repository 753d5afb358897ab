"""What a league consists of: a TOML file with settings and arms."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from common.component import component
from common.configure import dump, load, unknown
from common.failures import ConfigError
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.yardsticks import Yardstick

SHIPPED = Path(__file__).parents[1] / "leagues"

Stage = Literal["choose", "final"]


@component
class Setting:
    """One world: data, who holds what, and how many they are.

    Attributes:
        name: for ``--only``, and of its folder.
        title: in tables.
        experiment: a shipped name.
        set: overrides of that experiment, as ``--set`` takes them.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    experiment: str = Field(min_length=1)
    set: tuple[str, ...] = ()


@component
class Arm:
    """One way to learn; at most one of ``set``, ``yardstick`` and ``human``.

    Attributes:
        name: in files.
        title: in tables.
        set: overrides of the setting's experiment.
        yardstick: measured on what the clients of the setting hold, and no run of ours.
        human: one more rater, where the data set has raters.
        few: whether it is run with the league's ``few`` seeds.
        only: names of the settings it is run in; nothing for all.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    set: tuple[str, ...] = ()
    yardstick: Yardstick | None = None
    human: bool = False
    few: bool = False
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if bool(self.set) + (self.yardstick is not None) + self.human > 1:
            raise ConfigError(f"arm {self.name}: write one of set, yardstick and human")


@component
class Choosing:
    """How the validation slice is used before anything is frozen.

    Attributes:
        seeds: none of those of the final run.
        set: overrides of every setting, such as a larger slice.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    set: tuple[str, ...] = ()


@component
class League:
    """Settings, arms, seeds, and what arms are held against.

    Attributes:
        choosing: of the stage before the final run.
        settings: in the order in which they are run.
        arms: in the order in which they are shown.
        references: names of arms against which the others are held, seed by seed.
        seeds: of the final run; none for a league that is for choosing only.
        few: of arms that say so; among ``seeds``.
    """

    choosing: Choosing
    settings: tuple[Setting, ...] = Field(min_length=1)
    arms: tuple[Arm, ...] = Field(min_length=1)
    references: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    few: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for what, names in (
            ("setting", [setting.name for setting in self.settings]),
            ("arm", [arm.name for arm in self.arms]),
        ):
            if len(set(names)) < len(names):
                raise ConfigError(f"two {what}s of the league have one name; give each its own")
        for name in self.references:
            if name not in (known := [arm.name for arm in self.arms]):
                raise ConfigError(unknown("reference", name, known))
        if not set(self.few) <= set(self.seeds):
            raise ConfigError("few: write seeds that are also in seeds")
        if set(self.choosing.seeds) & set(self.seeds):
            raise ConfigError("choosing.seeds: write seeds that the final run does not use")

    def seeds_of(self, arm: Arm, stage: Stage) -> tuple[int, ...]:
        """The seeds with which an arm is run."""
        if stage == "choose":
            return self.choosing.seeds
        return self.few if arm.few else self.seeds

    def arms_of(self, setting: Setting) -> list[Arm]:
        """The arms that are run in a setting."""
        return [arm for arm in self.arms if arm.only is None or setting.name in arm.only]

    def experiment(self, setting: Setting, arm: Arm | None, stage: Stage) -> Experiment:
        """What is run for an arm; the setting's own for a yardstick and for None.

        Raises:
            ConfigError: it is no runnable experiment.
        """
        extra = self.choosing.set if stage == "choose" else ()
        return read(setting.experiment, [*setting.set, *extra, *(arm.set if arm else ())])

    def digest(self, stage: Stage) -> str:
        """SHA-256, in hexadecimal, over all that decides the figures of a stage."""
        table: dict[str, Any] = {"league": dump(self), "stage": stage}
        table["experiments"] = [
            dump(self.experiment(setting, arm, stage))
            for setting in self.settings
            for arm in (None, *self.arms_of(setting))
        ]
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def leagues() -> list[str]:
    """The names of the leagues that come with the project."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def is_league(name: str) -> bool:
    """Whether a name means a league: a shipped one, or a TOML file with settings and arms."""
    if name in leagues():
        return True
    path = Path(name)
    if path.suffix != ".toml" or not path.is_file():
        return False
    try:
        return {"settings", "arms"} <= tomllib.loads(path.read_text("utf-8-sig")).keys()
    except (OSError, ValueError):
        return False


def read_league(name: str) -> League:
    """A league by its shipped name, or from a file.

    Raises:
        ConfigError: there is none of that name, or something about it is wrong.
    """
    path = SHIPPED / f"{name}.toml" if name in leagues() else Path(name)
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(unknown("league", name, leagues())) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}; check the file") from error
    return load(League, table)
