"""One run of ``fedknot`` that is read from outside until it ends, in a folder of its own."""

import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.failures import Failure
from simulations.benches._command import Command
from simulations.benches._gauge import Gauge, Sample, Shelf
from simulations.benches._processes import dump, end

_PATIENCE_SECONDS: Final = 900.0


@dataclass(frozen=True)
class Watched:
    """What was seen of a run that has ended well.

    Attributes:
        folder: of the run.
        called: when it was called, in seconds since the epoch.
        seconds: from the call to its end.
        samples: of its processes.
        shelves: of its folder.
    """

    folder: Path
    called: float
    seconds: float
    samples: list[Sample]
    shelves: list[Shelf]


def watched(
    words: Sequence[str],
    home: Path,
    command: Sequence[str],
    every: float,
    progress: Callable[[int], None],
) -> Watched:
    """Call ``fedknot run``, sample its processes until it has ended.

    Args:
        words: of the call after ``run``, but for ``--out``.
        home: an empty folder; the run goes to ``run`` there, its output and cache beside.
        command: how ``fedknot`` is called.
        every: seconds between two samples.
        progress: told the number of rounds that have ended.

    Raises:
        Failure: the run fails, or no round ends for a quarter of an hour.
    """
    token, folder, called = secrets.token_hex(8), home / "run", time.time()
    try:
        running = Command(
            ["run", *words, "--out", str(folder)],
            folder=folder,
            log=home / "run.log",
            token=token,
            cache=home / "cache",
            command=command,
        )
        gauge = Gauge(running, folder, every)
        _watch(gauge, running, token, progress)
        return Watched(folder, called, running.seconds, gauge.samples, gauge.shelves)
    finally:
        end(token)


@contextlib.contextmanager
def temporary(name: str) -> Iterator[Path]:
    """A folder that is there for a while."""
    home = Path(tempfile.mkdtemp(prefix=f"fedknot-{name}-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _watch(gauge: Gauge, command: Command, token: str, progress: Callable[[int], None]) -> None:
    if not gauge.watch(progress, _PATIENCE_SECONDS):
        dump(token)
        raise Failure(f"no round has ended for {_PATIENCE_SECONDS:.0f} s; the run hangs")
    if command.process.returncode != 0:
        raise Failure(f"the run fails: {command.last_words()}")
