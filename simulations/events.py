"""How the parts of a run tell the command line where they are: JSON lines on a pipe.

Phases, counts and the one line of a failure; never texts, labels or predictions.
"""

import io
import json
import os
import select
from collections.abc import Callable, Iterator
from typing import Any

_CHUNK_BYTES = 65536

Progress = Callable[[str, int, int], None]


def silent(phase: str, done: int, total: int) -> None:
    """A progress that nobody watches."""
    del phase, done, total


class Reporter:
    """The writing end; with no pipe, everything is silently dropped."""

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe

    def progress(self, phase: str, done: int, total: int) -> None:
        """Say how far a phase is."""
        self._write({"phase": phase, "done": done, "total": total})

    def failure(self, exit_code: int, line: str) -> None:
        """Say why this part ends."""
        self._write({"failure": line, "exit_code": exit_code})

    def _write(self, event: dict[str, Any]) -> None:
        if self._pipe is not None:
            os.write(self._pipe, json.dumps(event).encode() + b"\n")


def events(pipe: int, patience: float | None = None) -> Iterator[dict[str, Any]]:
    """The reading end: one event after the other, until the writer is gone.

    Args:
        pipe: a file descriptor; it is closed at the end.
        patience: seconds without an event that are borne; None for ever.

    Raises:
        TimeoutError: there was none for so long.
    """
    with os.fdopen(pipe, "rb", buffering=0) as file:
        rest = b""
        while chunk := _read(file, patience):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, lines)


def _read(file: io.FileIO, patience: float | None) -> bytes:
    ready, _, _ = select.select([file], [], [], patience)  # by a monotonic clock
    if not ready:
        raise TimeoutError
    return file.read(_CHUNK_BYTES) or b""
