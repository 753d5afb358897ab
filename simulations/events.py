"""How the parts of a run tell the command line where they are: JSON lines on a pipe.

Phases, counts and the one line of a failure; never texts, labels or predictions.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

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


def events(pipe: int) -> Iterator[dict[str, Any]]:
    """The reading end: one event after the other, until the writer is gone."""
    with os.fdopen(pipe, "rb") as file:
        for line in file:
            yield json.loads(line)
