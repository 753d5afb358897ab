"""Whom to kill, and when: drawn from a seed, aimed at what is there at that moment."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psutil

from simulations.benches._command import Command
from simulations.benches._processes import DRIVER, PARTS, WORKER, family

NONE: Final = "none"

_PART: Final = "part"
_SOON: Final = 0.1  # of the time the undisturbed run is at work
_WEIGHTS: Final = {"inline": {DRIVER: 1.0}, "ray": {DRIVER: 0.4, _PART: 0.3, WORKER: 0.3}}


@dataclass(frozen=True)
class Kill:
    """One shot.

    Attributes:
        kind: ``driver``, a part's name, ``worker``; ``none`` if there was nothing to hit.
        stage: how far the run folder had come.
        after: seconds since the command held the folder.
    """

    kind: str
    stage: str
    after: float

    @property
    def is_fatal(self) -> bool:
        """Whether the command has to end of it: Ray starts a worker again by itself."""
        return self.kind not in (WORKER, NONE)


class Marksman:
    """Has so many kills to spend; a shot at nothing does not count, and is tried again later."""

    def __init__(self, kills: int, backend: str, seed: int) -> None:
        """Draw nothing yet.

        Args:
            kills: to be spent in all.
            backend: "ray" or "inline", where there is nobody but the driver.
            seed: of moments, kinds and victims.
        """
        self.left, self.missed = kills, 0
        self.spent = Counter[str]()
        self.stages = Counter[str]()
        self._weights, self._rng = _WEIGHTS[backend], random.Random(seed)
        self._aim: str | None = None

    def moment(self, begun: float, end: float) -> float | None:
        """Seconds after the start of work at which to shoot: uniform in what is left of a run.

        After a shot at nothing the next one at the same kind comes soon.

        Args:
            begun: seconds the command has been at work.
            end: seconds the undisturbed run was at work.

        Returns:
            None if all is spent, or the undisturbed run would be over by now.
        """
        if self.left == 0 or begun >= end:
            return None
        if self._aim is None:
            return self._rng.uniform(begun, end)
        return begun + self._rng.uniform(0.0, _SOON * end)

    def miss(self) -> None:
        """Note that the command had ended before the moment."""
        self.missed += 1

    def strike(self, command: Command, after: float, stage: Callable[[], str]) -> Kill:
        """Kill what was aimed at, if it is there.

        Args:
            command: whose processes are to be hit.
            after: seconds since it was at work.
            stage: tells how far its folder has come.
        """
        if self._aim is None:
            self._aim = self._rng.choices([*self._weights], [*self._weights.values()])[0]
        where = stage()
        kill = Kill(_driver(command) if self._aim == DRIVER else self._below(command), where, after)
        self._note(kill)
        return kill

    def _note(self, kill: Kill) -> None:
        self.spent[kill.kind] += 1
        if kill.kind != NONE:
            self.left, self._aim = self.left - 1, None
            self.stages[kill.stage] += 1

    def _below(self, command: Command) -> str:
        """Kill a part or a worker, whichever was aimed at; all there are, are as likely."""
        command.look()
        wanted = PARTS if self._aim == _PART else (WORKER,)
        below = family(command.process.pid)
        found = sorted((p for p, kind in below.items() if kind in wanted), key=lambda p: p.pid)
        if not found:
            return NONE
        victim = self._rng.choice(found)
        try:
            victim.kill()
        except psutil.Error:
            return NONE
        return below[victim]


def _driver(command: Command) -> str:
    """Kill the command itself; one that has just ended by itself was not hit."""
    command.look()
    command.process.kill()
    return DRIVER if command.process.wait() < 0 else NONE
