"""Memory, files and descriptors of a run that is going on, read from outside every while."""

import contextlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from simulations.benches._command import Command
from simulations.benches._processes import DRIVER, family

_SHARE: Final = 50  # counting files may take one fiftieth of the time

_Reading = tuple[float, float | None, int | None, float]


@dataclass(frozen=True)
class Sample:
    """What all processes of one kind had at one moment.

    Attributes:
        round: rounds that had ended.
        kind: see :func:`simulations.benches._processes.kind_of`.
        processes: how many there were.
        rss_kb: resident memory, summed over them; what they share counts for each.
        uss_kb: memory that is theirs alone, summed; None where it cannot be had cheaply.
        descriptors: open files and sockets, summed; None where the system does not tell.
        cpu_seconds: that they have used so far, summed.
    """

    round: int
    kind: str
    processes: int
    rss_kb: float
    uss_kb: float | None
    descriptors: int | None
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Shelf:
    """How much lay in the run folder at one moment.

    Attributes:
        round: rounds that had ended.
        files: how many.
        bytes: of all of them.
    """

    round: int
    files: int
    bytes: int


class Gauge:
    """Collects samples until the command has ended."""

    def __init__(self, command: Command, folder: Path, seconds: float) -> None:
        """Read nothing yet.

        Args:
            command: whose processes are watched.
            folder: of its run.
            seconds: between two samples.
        """
        self._command, self._folder, self._seconds = command, folder, seconds
        self.samples: list[Sample] = []
        self.shelves: list[Shelf] = []
        self._next_count = 0.0

    def watch(self, progress: Callable[[int], None], patience: float) -> bool:
        """Sample until the command ends.

        Args:
            progress: told the number of rounds that have ended.
            patience: seconds without a new round after which it counts as hanging.

        Returns:
            False if it hangs.
        """
        before, until = -1, 0.0
        while not self._command.wait(self._seconds):
            done = self.rounds_done()
            if done > before:
                before, until = done, time.monotonic() + patience
            elif time.monotonic() > until:
                return False
            self.samples += _samples(self._command.process.pid, done)
            self._count(done)
            progress(done)
        self._next_count = 0.0
        self._count(self.rounds_done())
        return True

    def rounds_done(self) -> int:
        """Lines of ``rounds.jsonl``: one for every round that has ended."""
        try:
            return (self._folder / "rounds.jsonl").read_bytes().count(b"\n")
        except OSError:
            return 0

    def _count(self, done: int) -> None:
        """Count files, unless that was just done and took long."""
        started = time.monotonic()
        if started < self._next_count:
            return
        sizes = list(_sizes(self._folder))
        self.shelves.append(Shelf(done, len(sizes), sum(sizes)))
        ended = time.monotonic()
        self._next_count = ended + _SHARE * (ended - started)


def _samples(root: int, done: int) -> list[Sample]:
    """One sample of every kind that there is now."""
    kinds: dict[str, list[_Reading]] = defaultdict(list)
    for process, kind in family(root).items():
        name = DRIVER if process.pid == root else kind
        with contextlib.suppress(psutil.Error, OSError):
            kinds[name].append(_read(process))
    return [
        Sample(
            done,
            kind,
            len(found),
            sum(rss for rss, _, _, _ in found),
            _sum([uss for _, uss, _, _ in found]),
            _whole(_sum([fds for _, _, fds, _ in found])),
            sum(cpu for _, _, _, cpu in found),
        )
        for kind, found in kinds.items()
    ]


def _read(process: psutil.Process) -> _Reading:
    """RSS and USS in kB of 1,000 bytes, descriptors, and CPU seconds."""
    times = process.cpu_times()
    cpu = times.user + times.system
    fds = None if sys.platform == "win32" else process.num_fds()
    if sys.platform == "linux":  # elsewhere it takes long, or needs more rights
        with contextlib.suppress(psutil.AccessDenied):
            full = process.memory_full_info()
            return full.rss / 1e3, full.uss / 1e3, fds, cpu
    return process.memory_info().rss / 1e3, None, fds, cpu


def _sum(values: list[float | None] | list[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _sizes(folder: Path) -> Iterator[int]:
    """The size of every file below a folder; what goes meanwhile does not count."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False).st_size
