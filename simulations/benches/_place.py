"""What a soak asks for, where its runs are made, and the undisturbed run they are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulations.benches._command import Command
from simulations.benches._small_world import NAME, overrides
from simulations.benches._traces import stage
from simulations.folder import is_run_folder

_PATIENCE: Final = 10  # times the undisturbed run: what takes longer hangs
_LEAST_SECONDS: Final = 60.0  # before anything counts as hanging: machines are shared


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes:
        kills: in all.
        rounds: of every run.
        clients: of every run, K.
        seed: of the world, of moments and of victims.
        backend: "ray" or "inline".
    """

    kills: int
    rounds: int
    clients: int
    seed: int
    backend: str


@dataclass(frozen=True)
class Place:
    """Where runs are made, and how their processes are told from others.

    Attributes:
        home: a folder of their own.
        token: the value of the mark.
        command: how ``fedknot`` is called.
        plan: what was asked for.
    """

    home: Path
    token: str
    command: Sequence[str]
    plan: Plan

    @property
    def cache(self) -> Path:
        """The cache that all runs share."""
        return self.home / "cache"

    def stage(self, folder: Path) -> str:
        """How far a run folder has come."""
        return stage(folder, self.plan.clients)

    def start(self, folder: Path) -> Command:
        """Begin a run, or go on with it if there is something to go on with."""
        words = ["run", "--backend", self.plan.backend]
        if is_run_folder(folder):
            words += ["--resume", str(folder)]
        else:
            world = overrides(self.plan.clients, self.plan.rounds, self.plan.seed)
            words += [NAME, "--set", world, "--out", str(folder)]
        log, mark = folder.with_suffix(".log"), self.token
        return Command(
            words, folder=folder, log=log, token=mark, cache=self.cache, command=self.command
        )


@dataclass(frozen=True)
class Calm:
    """The undisturbed run.

    Attributes:
        seconds: of the whole command.
        working: seconds from when it held its folder to its end.
        trace: what it left (:func:`simulations.benches._traces.trace`).
    """

    seconds: float
    working: float
    trace: dict[str, str]

    @property
    def limit(self) -> float:
        """Seconds after which a command counts as hanging."""
        return max(_LEAST_SECONDS, _PATIENCE * self.seconds)
