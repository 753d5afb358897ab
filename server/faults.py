"""A server that breaks its promises, for tests: see :mod:`common.faults`."""

import importlib
import subprocess
from pathlib import Path

from common import faults

_HOARD: list[bytes] = []


def reach(phase: str, folder: Path, server_round: int | None = None) -> None:
    """Have the faults of a phase: be killed, wait, pause, or do what the server must not.

    Args:
        phase: of the server, see :data:`common.faults.PHASES`.
        folder: the run folder.
        server_round: the round that is going on.
    """
    faults.reach(phase, server_round=server_round)
    for name in faults.leaks(phase, server_round=server_round):
        _break(name, folder)


def _break(name: str, folder: Path) -> None:
    if name == "server_import":
        importlib.import_module("simulations.datasets")
    elif name == "server_open":
        _HOARD.append((folder / "clients" / "0" / "shard.jsonl").read_bytes())
    else:  # the wall stops Python code, not a subprocess
        words = ["sh", "-c", 'cat "$0"/clients/*/shard.jsonl', str(folder)]
        _HOARD.append(subprocess.run(words, capture_output=True, check=True).stdout)
