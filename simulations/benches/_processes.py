"""The processes of a command that is watched: found by a mark they inherit, never by name."""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from simulations.inherited import bears

MARK: Final = "FEDKNOT_SOAK"
"""An environment variable that every process of a watched command inherits."""

PARTS: Final = ("provision", "cluster", "serve", "observe")
DRIVER: Final = "driver"
WORKER: Final = "worker"
IDLE: Final = "idle"
DAEMON: Final = "daemon"

_DUMPING_SECONDS = 2.0
_ENDING_SECONDS = 5.0
_POLL_SECONDS = 0.1


def alive(token: str) -> list[psutil.Process]:
    """Every other living process that bears the mark."""
    found = [p for p in psutil.process_iter() if p.pid != os.getpid() and bears(p, MARK, token)]
    return [process for process in found if not _is_dead(process)]


def kind_of(words: Sequence[str]) -> str:
    """What a process below the command is, by its command line.

    Returns:
        One of :data:`PARTS`; ``worker`` for a Ray worker that hosts clients, ``idle`` for one
        that hosts nobody, ``daemon`` for all else that Ray starts; ``driver`` for the rest.
    """
    line = " ".join(words)
    if "simulations" in words[:-1]:
        part = words[words.index("simulations") + 1]
        return part if part in PARTS else DRIVER
    if "ClientAppActor" in line:
        return WORKER
    if "ray::IDLE" in line:
        return IDLE
    return DAEMON if "ray::" in line or "/ray/" in line else DRIVER


def family(root: int) -> dict[psutil.Process, str]:
    """The process with this number and all below it, each with its kind."""
    made = {}
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(root)
        made[process] = DRIVER
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                made[child] = kind_of(child.cmdline())
    return made


def sessions(processes: Sequence[psutil.Process]) -> set[Path]:
    """Ray's session folders that these processes name in their command lines."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            found |= {Path(b) for a, b in itertools.pairwise(words) if a == "--session"}
    return found


def awaited(token: str, seconds: float) -> list[psutil.Process]:
    """Those that bear the mark and are still there after so many seconds."""
    end = time.monotonic() + seconds
    while (left := alive(token)) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return left


def told(process: psutil.Process) -> str:
    """A process in one line, for a report."""
    try:
        return f"{process.pid} ({kind_of(process.cmdline())}, {process.status()})"
    except psutil.Error:
        return f"{process.pid} (ended meanwhile)"


def end(token: str) -> None:
    """Kill whatever bears the mark, until nothing does."""
    until = time.monotonic() + _ENDING_SECONDS
    while (left := alive(token)) and time.monotonic() < until:
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=_POLL_SECONDS)


def dump(token: str) -> None:
    """Have Python write every thread's stack to its own log, for whoever looks why it hangs.

    With ``PYTHONFAULTHANDLER`` set that is what SIGABRT does before it ends a process.
    """
    _signal(alive(token), signal.SIGABRT)
    time.sleep(_DUMPING_SECONDS)


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
