"""What one run owns on this machine while it lives, whoever else runs beside it."""

from pathlib import Path

import psutil


def sessions(pid: int) -> list[Path]:
    """Ray's session folders of all runs that a process has started and that live."""
    words = [_words(process) for process in _below(pid)]
    return [Path(w[w.index("--session") + 1]) for w in words if "--session" in w]


def workers(pid: int) -> list[psutil.Process]:
    """The Ray workers of these runs that host clients."""
    return [p for p in _below(pid) if "ClientAppActor" in " ".join(_words(p))]


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _words(process: psutil.Process) -> list[str]:
    """Of its call; none if it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
