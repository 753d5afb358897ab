"""One run from an experiment to a summary: three processes, or all in this one."""

import contextlib
import socket
import sys
import time
from pathlib import Path
from typing import Any, Literal

from common import faults
from common.failures import ConfigError, FolderError
from common.files import full_disk_is_a_failure, read_json, write_json, write_text
from common.lock import held
from common.sites import forget
from common.terms import Terms
from server.archive import is_served
from simulations.clock import Clock
from simulations.environment import LOOPBACK, MAX_NODES
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.experiment_file import to_toml
from simulations.folder import create, keep_call, read_call
from simulations.identity import keep_identity
from simulations.owned_cluster import (
    GRACE_SECONDS,
    address_of,
    memory_of,
    private_cluster,
    tied,
)
from simulations.process import Part
from simulations.summary import broken

Backend = Literal["ray", "inline", "auto"]


def execute(
    experiment: Experiment,
    name: str,
    *,
    out: Path | None,
    backend: Backend,
    address: str | None,
    progress: Progress,
) -> Path:
    """Run an experiment; return its run folder, complete with summary and report.

    Args:
        experiment: what to run.
        name: under which it is reported.
        out: the run folder, which must be new or empty; None for the default.
        backend: "ray" for Flower clients on Ray, "inline" for this process, "auto" for
            the first that the system can run.
        address: of an existing Ray cluster, or None for a private one.
        progress: told (phase, done, total).

    Raises:
        Failure: with the exit code that says which kind; the folder then has a summary
            that says ``failed`` or, after a signal, ``interrupted``.
    """
    backend = chosen(backend, address)
    folder = create(out, name, experiment.seed)
    with held(folder):
        call = {"experiment": Path(name).stem, "backend": backend, "started": time.time()}
        carry_out(experiment, folder, call, address, progress)
    return folder


def chosen(backend: Backend, address: str | None) -> Backend:
    """The back end, once it is clear that it can do what is asked.

    Raises:
        ConfigError: it cannot.
    """
    if backend == "auto":
        backend = "inline" if sys.platform == "win32" else "ray"
    if backend not in ("ray", "inline"):
        raise ConfigError(f"backend must be 'ray', 'inline' or 'auto', got {backend!r}")
    if address is not None and backend == "inline":
        raise ConfigError("the inline back end has no Ray; leave out --ray-address")
    if faults.on() and backend == "inline":
        raise ConfigError(f"{faults.VARIABLE} is for the ray back end; write --backend ray")
    return backend


def carry_out(
    experiment: Experiment,
    folder: Path,
    call: dict[str, Any],
    address: str | None,
    progress: Progress,
) -> None:
    """Do what is not done yet in a run folder that this process holds.

    Args:
        experiment: of the folder.
        folder: new, or one in which part of the run is done.
        call: name, back end and start; kept in the folder.
        address: of an existing Ray cluster, or None.
        progress: told (phase, done, total).
    """
    faults.stamp(folder)
    try:
        with full_disk_is_a_failure():
            write_text(folder / "experiment.toml", to_toml(experiment))
            keep_call(folder, **call)
            keep_identity(folder, experiment)
            if call["backend"] == "inline":
                _inline(experiment, folder, progress)
            else:
                _isolated(experiment, folder, address, progress)
    except BaseException as error:
        failed = isinstance(error, Exception)
        told = abandon(experiment, folder, "failed" if failed else "interrupted")
        if failed and not told:
            raise FolderError(
                f"cannot write the run folder {folder}; free some space or give another --out"
            ) from error
        raise


def abandon(experiment: Experiment, folder: Path, status: str) -> bool:
    """Leave a folder whose run has ended without a student: strike its site, say so.

    Returns:
        Whether it could be said: on a full disk there is no summary.
    """
    with contextlib.suppress(OSError, ValueError):  # it may not have been provisioned, or wholly
        forget(read_json(folder / "terms.json")["site"])
    try:
        broken(folder, experiment, read_call(folder), status)
    except (OSError, FolderError):
        return False
    return True


def _inline(experiment: Experiment, folder: Path, progress: Progress) -> None:
    import torch

    from simulations.loop import federate
    from simulations.observe import observe
    from simulations.provision import provision

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if not _is_served(folder):
            clock = Clock(progress)
            provision(experiment, folder, clock)
            write_json(folder / "checkpoint" / "outside.json", {"seconds": clock.seconds()})
            federate(folder, progress)
        observe(folder, progress)
    finally:
        torch.set_num_threads(threads)  # it is the caller's process


def _isolated(
    experiment: Experiment, folder: Path, address: str | None, progress: Progress
) -> None:
    if sys.platform == "win32":
        raise ConfigError("the ray back end needs Linux or macOS; write --backend inline")
    if address is not None:
        _reach(address)
    with contextlib.ExitStack() as parts:
        if not _is_served(folder):
            _serve(parts, experiment, folder, address, progress)
        _follow(_started(parts, Part("observe", folder)), experiment, progress)


def _serve(
    parts: contextlib.ExitStack,
    experiment: Experiment,
    folder: Path,
    address: str | None,
    progress: Progress,
) -> None:
    """Provision beside the start of Ray, then the server; Ray ends while others go on."""
    clock, clients = Clock(progress), str(experiment.data.num_clients)
    progress("start", 0, 2)
    cluster = None
    if address is None:
        most = min(experiment.data.num_clients, MAX_NODES)
        cluster = private_cluster(parts, folder, most)
    _follow(_started(parts, Part("provision", folder)), experiment, clock)
    progress("start", 1, 2)
    where = address or address_of(cluster)
    # Ray takes a loopback address for the machine's own, unless it is told not to.
    env = LOOPBACK if where.startswith(("127.", "localhost", "[::1]")) else {}
    words = ("--address", where, "--clients", clients)
    serve = _started(parts, Part("serve", folder, *words, env=env))
    with memory_of(cluster) as peak, tied(serve, cluster):
        _follow(serve, experiment, clock.served)
    outside = {"seconds": clock.seconds(), "worker_peak_mb": peak.get("mb")}
    write_json(folder / "checkpoint" / "outside.json", outside)
    if cluster is not None:
        cluster.release()


def _is_served(folder: Path) -> bool:
    """Whether an earlier process came as far as the observer."""
    path = folder / "terms.json"
    return path.exists() and is_served(folder, Terms.read(path))


def _reach(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would wait for a long time."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Ray answers at {address!r}; give --ray-address HOST:PORT of a head that runs"
        ) from error


def _started(parts: contextlib.ExitStack, part: Part) -> Part:
    parts.callback(part.stop, GRACE_SECONDS)
    return part


def _follow(part: Part, experiment: Experiment, progress: Progress) -> None:
    for event in part.watch(experiment.server.timeouts.silence):
        progress(event["phase"], event["done"], event["total"])
