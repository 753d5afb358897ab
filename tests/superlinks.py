"""Flower's long-running processes on the loopback address; ended by id, with all they started."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from simulations.environment import LOOPBACK, QUIET

_PATIENCE = 120.0


def flower(name: str) -> str:
    """One of Flower's commands, of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


@contextmanager
def superlink(home: Path, simulation: bool = True) -> Iterator[tuple[dict[str, str], str]]:
    """A SuperLink with its own home and an empty working directory ``cwd`` in it.

    Args:
        home: a new folder.
        simulation: whether its nodes are simulated; otherwise they come by themselves.

    Yields:
        The environment in which ``flwr`` knows no other SuperLink, and host:port.
    """
    env, port = _environment(home), _free_port()
    address = f"127.0.0.1:{port}"
    here = f'[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    (home / "config.toml").write_text(f'[superlink]\ndefault = "here"\n\n{here}')
    call = [flower("flower-superlink"), "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    call += ["--disable-runtime-dependency-installation"]
    call += ["--simulation"] if simulation else []
    with _running(call, home, env, lambda: _healthy(address)):
        yield env, address


@contextmanager
def supernode(home: Path, address: str, about: str, **env: str) -> Iterator[Path]:
    """A SuperNode that is connected, with its own home.

    Args:
        home: a new folder.
        address: of the SuperLink.
        about: its ``--node-config``.
        env: more of its environment.

    Yields:
        What it prints.
    """
    call = [flower("flower-supernode"), "--insecure", "--superlink", address]
    call += ["--host", "127.0.0.1", "--port", str(_free_port()), "--node-config", about]
    log = home / "log.txt"
    own = _environment(home) | env
    with _running(call, home, own, lambda: b"SuperNode ID:" in log.read_bytes()):
        yield log


def _environment(home: Path) -> dict[str, str]:
    (home / "cwd").mkdir(parents=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **QUIET, **LOOPBACK, "FLWR_HOME": str(home), "PATH": path}


@contextmanager
def _running(
    call: list[str], home: Path, env: dict[str, str], ready: Callable[[], bool]
) -> Iterator[None]:
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(call, env=env, cwd=home / "cwd", stdout=log, stderr=log)
        try:
            _wait(ready, home / "log.txt")
            yield
        finally:
            _end(process)


def _wait(ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(log.read_text(errors="replace")[-2000:])
        time.sleep(0.2)


def _end(process: "subprocess.Popen[bytes]") -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
    for left in psutil.wait_procs(family, timeout=10)[1]:
        left.kill()


def _healthy(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/health", timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])
