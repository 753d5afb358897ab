"""What happened to every client over the run: counted by the server, shown in ``clients.csv``."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.reasons import Reason

STATUSES = ("answered", "lost", "quarantined")


@dataclass
class Tally:
    """What happened to one client over the run.

    Attributes:
        asked: whether it ever was.
        status: of the last round in which it was asked.
        reason: of that status.
        ever: every status it has had; distinct clients are counted by it.
        bytes_up: of all its accepted payloads.
        bytes_down: of all questions to it, and of what it was told.
        seconds: from the questions to its accepted answers, others' turns included.
    """

    asked: bool = False
    status: str = "lost"
    reason: str = Reason.timeout.name
    ever: set[str] = field(default_factory=set)
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0

    def note(self, status: str, reason: Reason) -> None:
        """Set the status of this round."""
        self.status, self.reason = status, reason.name
        self.ever.add(status)


def to_table(tallies: Mapping[int, Tally]) -> str:
    """The text of ``clients.csv``: one line a client, nothing about its data."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["client", "status", "reason", "bytes_up", "bytes_down", "seconds"])
    for client, t in tallies.items():
        how = (t.status, t.reason) if t.asked or t.ever else ("not_asked", "")
        table.writerow([client, *how, t.bytes_up, t.bytes_down, round(t.seconds, 3)])
    return text.getvalue()


def to_json(tallies: Mapping[int, Tally]) -> list[dict[str, Any]]:
    """All tallies, in order, as JSON can hold them."""
    return [vars(tally) | {"ever": sorted(tally.ever)} for tally in tallies.values()]


def from_json(told: list[dict[str, Any]]) -> dict[int, Tally]:
    """What :func:`to_json` told."""
    return {client: Tally(**row | {"ever": set(row["ever"])}) for client, row in enumerate(told)}
