"""A private Ray on loopback, owned by one process and gone with it."""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import ray
from ray._private import services

# An object store for small messages; the default would take a third of the memory.
_OBJECT_STORE_BYTES = 300_000_000


def host(folder: Path, session: Path, most: int) -> None:
    """Start Ray, write its address to standard output, end it when standard input closes.

    Whoever started this process, however it dies, closes that pipe by dying.

    Args:
        folder: the run folder; what Ray itself logged is copied to its ``logs/ray/``.
        session: Ray's session folder; it holds what workers print, so it is private and
            removed. Its path is short, because Ray puts sockets into it.
        most: no more workers than this, for none would be idle only to take memory.
    """
    services.start_api_server = _no_usage_service
    try:
        started: Any = ray.init(
            num_cpus=min(_processors(), most),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=str(session),
        )
        print(json.dumps({"address": started.address_info["gcs_address"]}), flush=True)
        os.read(0, 1)
        ray.shutdown()
        _keep_logs(session, folder / "logs" / "ray")
    finally:
        shutil.rmtree(session, ignore_errors=True)


def _no_usage_service(*words: object, **more: object) -> tuple[None, None]:
    """In place of a process that, without a dashboard, only tells Ray's makers of our use of it.

    Where that is switched off it still asks three clouds' metadata services whether we are in one
    of them. Without it Ray starts sooner, too.
    """
    del words, more
    return None, None


def _processors() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _keep_logs(session: Path, home: Path) -> None:
    """Copy what Ray's own services logged; never what workers print, which is the clients'.

    A worker's first words go to the raylet's files, so those are not kept either.
    """
    home.mkdir(parents=True, exist_ok=True)
    for kind in ("gcs_server", "monitor", "dashboard"):
        for path in session.glob(f"session_2*/logs/{kind}.*"):
            shutil.copyfile(path, home / path.name)
