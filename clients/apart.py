"""Every task in a process of its own, which opens one client's store and no other.

Clients of one node otherwise share a process: what one of them has read is in the memory of the
next. Here the node itself opens no store. :mod:`clients.fork_server` is started once, with the
clients' code loaded; each task costs a fork, and what its code reads anew, such as an encoder.
"""

import contextlib
import subprocess
import sys
from functools import cache
from pathlib import Path

from clients.fork_server import ask, heard
from clients.tasks import Argument, Outcome, Run, here

_MARK = "apart"  # in the folder of a site's stores


def mark(stores: Path) -> None:
    """Have every task of this site's clients run in a process of its own from now on."""
    (stores / _MARK).touch(mode=0o600)


def runner(stores: Path) -> Run:
    """How tasks of this site's clients are to be run."""
    return apart if (stores / _MARK).is_file() else here


def apart(folder: Path, task: str, argument: Argument) -> Outcome:
    """Run a task in a process of its own; one that dies there is the client's own error.

    Returns:
        As :func:`clients.tasks.here`, bit for bit, with all that was written on disk by now.
    """
    server = _server()
    assert server.stdin is not None, "it has a pipe"
    assert server.stdout is not None, "it has a pipe"
    with contextlib.suppress(BrokenPipeError):  # then nothing is heard
        server.stdin.write(ask(folder, task, argument))
        server.stdin.flush()
    line = server.stdout.readline()
    if not line:  # it died; the next task finds a new one
        _server.cache_clear()
        with contextlib.suppress(BrokenPipeError):
            server.stdin.close()
        server.stdout.close()
        server.wait()
    return heard(line)


@cache
def _server() -> "subprocess.Popen[bytes]":
    """Ends by itself once this process is gone, and takes its task along."""
    call = [sys.executable, "-P", "-m", "clients.fork_server"]
    return subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
