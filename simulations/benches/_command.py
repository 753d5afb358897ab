"""``fedknot run`` as a process of its own, marked so that all it starts can be found."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from common.lock import NAME
from simulations.benches._processes import MARK, family, sessions

COMMAND: Final = (sys.executable, "-P", "-c", "from simulations.cli import main; main()")
"""The command ``fedknot``, whatever the PATH."""

_LOOK_SECONDS = 1.0
_POLL_SECONDS = 0.01


class Command:
    """A ``fedknot run`` that is going on.

    Attributes:
        process: the driver.
        log: what it writes on both streams.
        sessions: Ray's session folders that were seen to belong to it.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        log: Path,
        token: str,
        cache: Path,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start it.

        Args:
            words: of the call, after ``fedknot``.
            folder: the run folder that the words name.
            log: the file for its output, appended to.
            token: the value of the mark.
            cache: a cache of its own, so that what is left there is its own as well.
            command: how ``fedknot`` is called.
        """
        self.log, self.sessions, self._folder = log, set[Path](), folder
        self._started = time.monotonic()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*command, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=_environment(token, cache),
            )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it has ended; return whether it has."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and (left := until - time.monotonic()) > 0:
            self.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(min(left, _LOOK_SECONDS))
        return self.process.poll() is not None

    def await_work(self, seconds: float) -> bool:
        """Wait until the interpreter is up and the run folder is this process's.

        Returns:
            Whether that has come within so many seconds; not, if the command has ended.
        """
        return self._until(self._is_at_work, seconds)

    def look(self) -> None:
        """Remember the session folders that its processes use now."""
        self.sessions |= sessions(list(family(self.process.pid)))

    def last_words(self) -> str:
        """The last line of its output."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _until(self, there: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not there():
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _is_at_work(self) -> bool:
        try:
            return bool(json.loads((self._folder / NAME).read_bytes())["pid"] == self.process.pid)
        except (OSError, ValueError, LookupError, TypeError):
            return False


def _environment(token: str, cache: Path) -> dict[str, str]:
    """Ours, with the mark; no faults on demand, and a stack for who has to be aborted."""
    made = {name: value for name, value in os.environ.items() if name != "FEDKNOT_FAULTS"}
    return made | {MARK: token, "FEDKNOT_CACHE": str(cache), "PYTHONFAULTHANDLER": "1"}
