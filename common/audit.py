"""A chained log of every question and answer: JSON lines, each with the hash of the last.

Whoever changes, drops or reorders a line breaks the chain from there on. The two sides'
logs agree as sets of (round, client, sha256) of released messages; a re-send of the same
bytes is the same release with one more attempt.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from common.failures import CheckFailed
from common.files import append_bytes, appending, flushed, read_bytes
from common.reasons import Reason
from common.rosters import KEYS

START = "0" * 64

# What json.dumps makes of the entry, in a sixth of its time: no value needs quoting.
_LINE = (
    b'{"time": "%b", "direction": "%b", "client": %d, "round": %d, "schema": %d, "bytes": %d, '
    b'"sha256": "%b", "verdict": "%b", "attempts": %d, "previous": "%b"}'
)
_ROUND = re.compile(rb'"round": (\d+),')
_REMEMBERED = 2


@dataclass(frozen=True)
class Mark:
    """How far a log had come at some moment.

    Attributes:
        length: in bytes.
        head: the hash of the last line then.
    """

    length: int
    head: str


class AuditLog:
    """One side's log. A process that is killed loses no line of it."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._waiting: list[bytes] | None = None
        self._open: Callable[[bytes, bool], None] | None = None
        data = _repaired(path)
        self._previous = _hash(data[data.rfind(b"\n", 0, -1) + 1 : -1]) if data else START
        self._length = len(data)
        self._newest = max(map(int, _ROUND.findall(data)), default=-1)
        # By round, of the two newest ones: a long run must not grow by every message.
        self._attempts: dict[int, dict[tuple[str, int, str], int]] = {}

    @property
    def head(self) -> str:
        """The hash of the last line: who keeps it elsewhere can tell a changed last line."""
        return self._previous

    @property
    def mark(self) -> Mark:
        """How far the log has come: a log that is cut there holds what it holds now."""
        return Mark(self._length, self._previous)

    def append(
        self,
        direction: Literal["up", "down"],
        client: int,
        server_round: int,
        payload: bytes,
        *,
        schema: int,
        verdict: Reason = Reason.accepted,
        durable: bool = True,
    ) -> None:
        """Log one message that was sent or received.

        Args:
            direction: "up" is client to server.
            client: the id the message is from or for.
            server_round: the round it belongs to.
            payload: its canonical bytes; only length and hash are kept.
            schema: the number of the record layout.
            verdict: accepted, or the reason why not.
            durable: whether the line, and all before it, survives a power failure from now
                on; otherwise from the next :meth:`settle`. Not inside :meth:`at_once`.
        """
        sha256 = hashlib.sha256(payload).hexdigest()
        line = _LINE % (
            _stamp(),
            direction.encode(),
            client,
            server_round,
            schema,
            len(payload),
            sha256.encode(),
            verdict.name.encode(),
            self._attempt(server_round, (direction, client, sha256)),
            self._previous.encode(),
        )
        self._previous, self._length = _hash(line), self._length + len(line) + 1
        if self._waiting is not None:
            self._waiting.append(line + b"\n")
        else:
            self._write(line + b"\n", durable)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Write the lines that are appended inside together, at the end: many to one message."""
        self._waiting = []
        try:
            yield
        finally:
            lines, self._waiting = b"".join(self._waiting), None
            self._write(lines, False)

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """Open the file once for all lines inside; each is written when it is appended."""
        with appending(self._path) as self._open:
            try:
                yield
            finally:
                self._open = None

    def settle(self) -> None:
        """Have every line on disk."""
        flushed(self._path)

    def _write(self, data: bytes, durable: bool) -> None:
        if self._open is None:
            append_bytes(self._path, data, durable=durable)
        else:
            self._open(data, durable)

    def _attempt(self, number: int, key: tuple[str, int, str]) -> int:
        """How often this message of a round has now been logged."""
        if number not in self._attempts:
            known = number <= self._newest
            self._attempts[number] = _attempts(self._path, number) if known else {}
        self._newest = max(self._newest, number)
        counts = self._attempts[number]
        counts[key] = counts.get(key, 0) + 1
        while len(self._attempts) > _REMEMBERED:
            del self._attempts[min(self._attempts)]
        return counts[key]


def verified(path: Path, head: str | None = None) -> list[dict[str, Any]]:
    """All entries of a log, if its chain holds.

    Args:
        path: the log.
        head: what :attr:`AuditLog.head` was at the end, or None if that is not known.

    Raises:
        CheckFailed: the first line at which it does not.
    """
    return _chain(path.read_bytes(), path.name, head)


def verified_until(path: Path, mark: Mark) -> list[dict[str, Any]]:
    """The entries up to ``mark``, if the chain holds that far and ends there.

    Raises:
        CheckFailed: it does not.
    """
    return _chain(path.read_bytes()[: mark.length], path.name, mark.head)


def cut(path: Path, mark: Mark, aside: Path) -> None:
    """Bring a log back to ``mark``; what followed is appended to ``aside``, nothing is lost.

    A log that is killed in between has the lines in both files, and is cut once more.
    """
    tail = path.read_bytes()[mark.length :]
    if tail:
        with aside.open("ab") as file:
            file.write(tail)
            file.flush()
            os.fsync(file.fileno())
        os.truncate(path, mark.length)


def _chain(data: bytes, name: str, head: str | None) -> list[dict[str, Any]]:
    previous, entries = START, []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entry = json.loads(line)
            broken = entry["previous"] != previous
        except (ValueError, KeyError, TypeError):
            broken = True
        if broken:
            raise CheckFailed(f"the audit chain of {name} is broken at line {number}")
        entries.append(entry)
        previous = _hash(line)
    if head not in (None, previous):
        raise CheckFailed(f"the audit chain of {name} is broken at line {len(entries)}")
    return entries


def released(entries: list[dict[str, Any]]) -> set[tuple[int, int, str]]:
    """The (round, client, sha256) of every accepted message from a client, public keys aside."""
    return {
        (e["round"], e["client"], e["sha256"])
        for e in entries
        if e["direction"] == "up"
        and e["verdict"] == Reason.accepted.name
        and e["schema"] != KEYS  # a public key says nothing
    }


def _key(entry: dict[str, Any]) -> tuple[str, int, str]:
    return entry["direction"], entry["client"], entry["sha256"]


def _attempts(path: str | Path, server_round: int) -> dict[tuple[str, int, str], int]:
    """How often each message of a round stands in the log."""
    mark, counts = b'"round": %d,' % server_round, {}
    for line in read_bytes(path).splitlines():
        if mark in line and (entry := json.loads(line))["round"] == server_round:
            counts[_key(entry)] = entry["attempts"]
    return counts


def _stamp() -> bytes:
    """Now, as ``datetime.isoformat`` gives it in UTC with milliseconds; a fifth of its time."""
    seconds, milliseconds = divmod(int(time.time() * 1000), 1000)
    return b"%b.%03d+00:00" % (_second(seconds), milliseconds)


@lru_cache(maxsize=1)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _repaired(path: str | Path) -> bytes:
    """The whole lines of a log; what a killed writer left of a line is cut off."""
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        return b""
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    return whole
