"""What ``fedknot run`` means: a new run, one that goes on, or one in place of another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.failures import ConfigError, FolderError
from simulations.events import Progress
from simulations.experiment_file import read
from simulations.folder import move_aside, read_call
from simulations.resumption import resume
from simulations.runner import Backend, chosen, execute

DEFAULT = "quickstart"


@dataclass(frozen=True)
class Order:
    """The words of the command; None or empty where nothing was typed.

    Attributes:
        experiment: a shipped name or a TOML file.
        overrides: TOML assignments.
        seed: wins over both.
        out: a new or empty folder.
        resume: the folder of a run to go on with.
        force_new_run: move aside what is in the folder, and start anew.
        backend: where the clients live.
        address: of an existing Ray cluster.
    """

    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    out: Path | None = None
    resume: Path | None = None
    force_new_run: bool = False
    backend: Backend | None = None
    address: str | None = None


def start(order: Order, progress: Progress, say: Callable[[str], None]) -> Path:
    """Run, or go on; return the run folder.

    Args:
        order: what was typed.
        progress: told (phase, done, total).
        say: told, in one line, what a person should know beside.

    Raises:
        ConfigError: the words contradict each other.
        Failure: as :func:`simulations.runner.execute`.
    """
    if order.resume is not None and order.out is not None:
        raise ConfigError("--resume names the run folder already; leave out --out")
    if order.resume is not None and not order.force_new_run:
        return _go_on(order, order.resume, progress, say)
    folder = order.resume or order.out
    if order.force_new_run and folder is None:
        raise ConfigError("--force-new-run needs to know where; write --out DIR, too")
    source, name = _named(order)
    made = read(source, list(order.overrides), order.seed)
    backend = chosen(order.backend or "ray", order.address)
    if order.force_new_run and folder is not None and _holds_something(folder):
        say(f"what was in {folder} is in {move_aside(folder)} now")
    return execute(
        made, name, out=folder, backend=backend, address=order.address, progress=progress
    )


def _go_on(order: Order, folder: Path, progress: Progress, say: Callable[[str], None]) -> Path:
    made = None
    if order.experiment is not None or order.overrides or order.seed is not None:
        source = order.experiment or str(folder / "experiment.toml")
        made = read(source, list(order.overrides), order.seed)
    return resume(
        folder,
        made,
        order.experiment,
        backend=order.backend,
        address=order.address,
        progress=progress,
        say=say,
    )


def _named(order: Order) -> tuple[str, str]:
    """Where the experiment is read from, and under which name it is reported."""
    if order.experiment is not None:
        return order.experiment, order.experiment
    if order.resume is not None and (order.resume / "experiment.toml").is_file():
        return str(order.resume / "experiment.toml"), _reported(order.resume)
    return DEFAULT, DEFAULT


def _reported(folder: Path) -> str:
    try:
        return str(read_call(folder)["experiment"])
    except (FolderError, LookupError):
        return folder.name


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
