"""``--ray-address``: one run on a cluster of two nodes that somebody else started."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.files import read_json
from simulations.environment import QUIET
from simulations.events import silent
from simulations.experiment_file import read
from simulations.runner import execute
from tests.owned import workers

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.filterwarnings("default")]

_START = [sys.executable, "-P", "-c", "from ray.scripts.scripts import main; main()", "start"]
_OF_A_NODE = (
    "--node-ip-address=127.0.0.1",
    "--num-cpus=1",
    "--object-store-memory=100000000",
    "--disable-usage-stats",
    "--block",
)
_PATIENCE_SECONDS = 120.0
TASK = "server.schedule.steps = 20; data.dataset.size = 600; num_rounds = 2"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def node(log: Path, *words: str) -> Iterator[psutil.Process]:
    """A Ray node in processes of its own, once it runs; all of them are ended by their ids."""
    # Forbidding what the private cluster forbids would forbid a second node.
    env = {**os.environ, **QUIET}
    with log.open("wb") as out:
        started = subprocess.Popen(
            [*_START, *words, *_OF_A_NODE],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=env,
        )
    root = psutil.Process(started.pid)
    family = {root}
    try:
        end = time.monotonic() + _PATIENCE_SECONDS
        while "Ray runtime started" not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield root
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            family |= set(root.children(recursive=True))
        started.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(20)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
        started.wait()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[str, list[psutil.Process]]]:
    """The address of a cluster, and the process that owns each of its two nodes."""
    session = Path(tempfile.mkdtemp(prefix="fk-", dir="/tmp"))  # sockets want a short path
    address = f"127.0.0.1:{free_port()}"
    head = (
        "--head",
        f"--port={address[10:]}",
        f"--temp-dir={session}",
        "--include-dashboard=false",
    )
    try:
        with (
            node(tmp_path / "head.log", *head) as first,
            node(tmp_path / "second.log", f"--address={address}") as second,
        ):
            yield address, [first, second]
    finally:
        shutil.rmtree(session, ignore_errors=True)


def test_one_run_on_two_nodes(tmp_path, nodes):
    """Clients live on both, the bits are those of one process, and the cluster stays."""
    address, roots = nodes
    busy = [0, 0]

    def look(phase: str, done: int, total: int) -> None:
        if phase in ("teachers", "predict"):
            for place, root in enumerate(roots):
                busy[place] = max(busy[place], len(workers(root.pid)))

    made = {}
    for name, where, backend in (("two", address, "ray"), ("inline", None, "inline")):
        folder = execute(
            read("synthetic", [TASK]),
            "synthetic",
            out=tmp_path / name,
            backend=backend,
            address=where,
            progress=look if where else silent,
        )
        made[name] = read_json(folder / "summary.json")
    assert busy == [1, 1]
    assert made["two"]["hashes"] == made["inline"]["hashes"]
    assert made["two"]["clients"]["answered"] == 4
    assert made["two"]["isolated"]
    assert made["two"]["memory"]["worker_peak_mb"] is None
    assert all(root.is_running() for root in roots)
    assert not any(path.name.startswith("ray-session") for path in tmp_path.rglob("*.txt"))
