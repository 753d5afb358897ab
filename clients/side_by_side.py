"""Clients of one process whose teachers are fitted side by side, where they and recipes say so.

Nothing of one client goes into another's teacher, and its bits do not depend on who else is there:
see :meth:`clients.teachers.Teacher.fit_together`. So it does not matter either which teachers an
interrupted run had stored. Who cannot be fitted together is fitted alone, for the same reasons.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from clients.client import Client
from clients.teachers import FittedTeacher, Shard, Teacher
from common.reasons import Reason

Guard = Callable[[Path, Callable[[Client], None]], Reason]
"""Runs a task of the client with this folder; whatever goes wrong there becomes a code."""

_AT_ONCE: Final = 64  # whose features are in memory


class _Waiting(NamedTuple):
    client: int
    home: Path
    shard: Shard


class SideBySide:
    """Trains clients at once or, where they may be trained together, as soon as they are many."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._waiting: dict[tuple[Teacher, int], list[_Waiting]] = {}
        self._done: dict[int, Reason] = {}

    def train(self, client: Client) -> None:
        """Fit this client's teacher, unless there is one, now or before :meth:`finished` returns.

        Raises:
            Refused: there are no features, or the client refuses the shared texts.
        """
        if not client.stacks:
            client.train()
        elif (untaught := client.untaught()) is not None:
            recipe, num_labels, shard = untaught
            alike = self._waiting.setdefault((recipe, num_labels), [])
            alike.append(_Waiting(client.id, client.home, shard))
            if len(alike) == _AT_ONCE:
                self._train_all(recipe, num_labels)

    def finished(self) -> dict[int, Reason]:
        """Train who waits; what became of all who waited, and of nobody else."""
        for recipe, num_labels in list(self._waiting):
            self._train_all(recipe, num_labels)
        return self._done

    def _train_all(self, recipe: Teacher, num_labels: int) -> None:
        alike, made = self._waiting.pop((recipe, num_labels)), list[FittedTeacher]()
        # One of them may be ill, and it cannot be told whose fault it is: each tries alone.
        with contextlib.suppress(LookupError, MemoryError, RuntimeError, TypeError, ValueError):
            made = recipe.fit_together([one.shard for one in alike], num_labels)
        for k, one in enumerate(alike):
            keep = _keeping(made[k]) if made else Client.train
            self._done[one.client] = self._guard(one.home, keep)


def _keeping(fitted: FittedTeacher) -> Callable[[Client], None]:
    return lambda client: client.keep(fitted)
