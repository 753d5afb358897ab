"""What a client can be asked to do: by name, with what goes in and what comes out as plain bytes.

So a task can be run here, or in a process of its own (:mod:`clients.apart`), with the same result.
"""

import contextlib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from clients.client import Client
from clients.store import Store
from common.messages import Consensus, Question
from common.reasons import Reason, Refused
from common.rosters import Roster

Argument = Question | Consensus | Roster | None


class Said(NamedTuple):
    """What a client says, and what of it must be on disk before it leaves."""

    payload: bytes
    written: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What became of a task: a code, and what the client says if it has something to say."""

    reason: Reason
    said: Said | None = None


Run = Callable[[Path, str, Argument], Outcome]
"""Runs a task, by name, of the client with this folder."""


def guarded(folder: Path, act: Callable[[Client], None]) -> Reason:
    """Run one client's task; what goes wrong stays with the client, a code comes out.

    This is the client side's one boundary handler: no exception text ever crosses.
    """
    try:
        act(Client(Store(folder)))
    except Refused as refusal:
        return refusal.reason
    except Exception:
        # A client that has no folder, or no room in it, keeps no log; it must not sink others.
        with contextlib.suppress(OSError):
            Store(folder).note(traceback.format_exc())
        return Reason.client_error
    return Reason.accepted


def here(folder: Path, task: str, argument: Argument) -> Outcome:
    """Run a task in this process."""
    said: list[Said | None] = []
    reason = guarded(folder, lambda client: said.append(TASKS[task](client, argument)))
    return Outcome(reason, said[0] if said else None)


def _encode(client: Client, _: Argument) -> None:
    client.encode()


def _train(client: Client, _: Argument) -> None:
    client.train()


def _refine(client: Client, consensus: Argument) -> None:
    assert isinstance(consensus, Consensus)
    client.refine(consensus)


def _predict(client: Client, question: Argument) -> Said:
    assert isinstance(question, Question)
    answer, written = client.draft(question)
    return Said(answer.payload, written)


def _key(client: Client, invitation: Argument) -> Said:
    assert isinstance(invitation, Roster)
    return Said(client.name_key(invitation))


def _mask(client: Client, roster: Argument) -> Said:
    assert isinstance(roster, Roster)
    return Said(client.contribute(roster).payload)


TASKS: Final[Mapping[str, Callable[[Client, Argument], Said | None]]] = {
    "encode": _encode,
    "train": _train,
    "refine": _refine,
    "predict": _predict,
    "key": _key,
    "mask": _mask,
}
