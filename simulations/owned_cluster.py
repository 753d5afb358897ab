"""The Ray of a run's own: started on loopback, watched from outside, gone with the run."""

import contextlib
import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from common.failures import Failure
from common.files import write_text
from simulations.environment import LOOPBACK
from simulations.inherited import bears
from simulations.process import Part

GRACE_SECONDS = 6.0
_SAMPLE_SECONDS = 0.5
_DEATH_SECONDS = 0.2
_ENDING_SECONDS = 6.0
_KILLED_SECONDS = 2.0
_PREFIX = "fedknot-ray-"
_NAME = re.compile(f"{_PREFIX}[0-9a-f]{{8}}")
_MARK = "FEDKNOT_RAY_SESSION"  # whatever Ray starts inherits it


def private_cluster(parts: contextlib.ExitStack, folder: Path, most: int) -> Part:
    """A Ray of our own on loopback; its session folder is removed whatever happens.

    Args:
        parts: ends it, and removes the folder.
        folder: the run folder, which names the session folder, so that whoever resumes a
            killed run can remove it, too.
        most: nodes at most.
    """
    # Ray puts sockets into it, whose paths may have 100 bytes or so: not macOS's long default.
    home = Path("/tmp") if Path("/tmp").is_dir() else Path(folder)
    session = home / f"{_PREFIX}{secrets.token_hex(4)}"
    write_text(_note(folder), "".join(f"{path}\n" for path in [*_noted(folder), session]))
    session.mkdir(mode=0o700)
    parts.callback(remove_sessions, folder)
    words = ("--session", str(session), "--clients", str(most))
    env = {**LOOPBACK, _MARK: str(session)}
    cluster = Part("cluster", folder, *words, leash=False, env=env)
    parts.callback(cluster.stop, GRACE_SECONDS)
    return cluster


def remove_sessions(folder: Path) -> None:
    """Remove the session folders that the run folder names, also those of killed runs.

    What is left of Ray there may still write, and is given some seconds to end. Ray ties its
    services to the process that starts them, but one that is killed before it has tied them leaves
    them behind: they are killed here. A folder that cannot be removed stays named.
    """
    left = []
    for session in _noted(folder):
        end = time.monotonic() + _ENDING_SECONDS
        while (users := _users(session)) and time.monotonic() < end:
            time.sleep(_DEATH_SECONDS)
        for process in users:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(users, timeout=_KILLED_SECONDS)
        shutil.rmtree(session, ignore_errors=True)
        if session.exists():
            left.append(session)
    if left:
        write_text(_note(folder), "".join(f"{path}\n" for path in left))
    else:
        _note(folder).unlink(missing_ok=True)


def address_of(cluster: Part | None) -> str:
    """Where it listens, once it does.

    Raises:
        Failure: it does not start.
    """
    assert cluster is not None, "without an address there is a cluster of our own"
    line = cluster.output.readline()
    if not line:
        for _ in cluster.watch():
            pass
        raise Failure("Ray did not start; see logs/cluster.log in the run folder")
    return str(json.loads(line)["address"])


@contextlib.contextmanager
def tied(serve: Part, cluster: Part | None) -> Iterator[None]:
    """End the server as soon as the cluster has ended, before it takes its clients for lost.

    Raises:
        Failure: that has happened; nothing was committed after it.
    """
    done, lost = threading.Event(), threading.Event()

    def watch() -> None:
        while cluster is not None and not done.wait(_DEATH_SECONDS):
            if cluster.process.poll() is not None:
                lost.set()
                serve.process.kill()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except Failure as failure:
        if lost.is_set():
            raise Failure(
                "Ray ended in the middle of the run; see logs/cluster.log in the run folder, "
                "and go on with --resume"
            ) from failure
        raise
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def memory_of(cluster: Part | None) -> Iterator[dict[str, float]]:
    """Watch, from outside, the largest memory of any worker, in MB of 10^6 bytes."""
    peak: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        while cluster is not None and not done.wait(_SAMPLE_SECONDS):
            for process in cluster.family():
                mb = _worker_mb(process)
                if mb > 0:
                    peak["mb"] = max(peak.get("mb", 0.0), mb)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _worker_mb(process: psutil.Process) -> float:
    """Peak memory of a Ray worker that hosts clients, 0 for any other process."""
    try:
        if "ClientAppActor" not in " ".join(process.cmdline()):
            return 0.0
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            high = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            return float(round(int(high[0].split()[1]) * 1024 / 1e6, 1))
        return float(round(process.memory_info().rss / 1e6, 1))
    except (psutil.Error, OSError, IndexError):
        return 0.0


def _note(folder: Path) -> Path:
    return folder / "checkpoint" / "ray-session.txt"


def _noted(folder: Path) -> list[Path]:
    try:
        paths = [Path(line) for line in _note(folder).read_text().splitlines()]
    except OSError:
        return []
    return [path for path in paths if _NAME.fullmatch(path.name)]


def _users(session: Path) -> list[psutil.Process]:
    """Ray's services that were started for this session, and who started them; no bystander."""
    living = psutil.process_iter(["cmdline", "status"])
    return [p for p in living if p.info["status"] != psutil.STATUS_ZOMBIE and _serves(p, session)]


def _serves(process: psutil.Process, session: Path) -> bool:
    words = " ".join(process.info["cmdline"] or [])
    if str(session) in words and ("/ray/" in words or f"--session {session}" in words):
        return True
    # Some of them name themselves. Then their command line says nothing of a session, and the name
    # may stand where a part of what they inherited stood.
    renamed = "ray::" in words
    return renamed and (bears(process, _MARK, str(session)) or _logs_into(process, session))


def _logs_into(process: psutil.Process, session: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return any(file.path.startswith(f"{session}/") for file in process.open_files())
    return False
