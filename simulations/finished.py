"""Finished runs of one experiment, seed by seed, for commands that measure on top of them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from common.configure import dump, load
from common.failures import FolderError
from simulations.events import silent
from simulations.experiment import Experiment
from simulations.folder import summary_of
from simulations.runner import Backend, execute


def seeded(experiment: Experiment, seed: int) -> Experiment:
    """The same experiment with another seed."""
    return load(Experiment, dump(experiment) | {"seed": seed})


def finished_run(experiment: Experiment, name: str, home: Path, backend: Backend) -> Path:
    """The finished run in ``home``; one that was interrupted, or never begun, is run anew."""
    try:
        if summary_of(home)["status"] == "complete":
            return home
    except FolderError:
        pass
    shutil.rmtree(home, ignore_errors=True)
    return execute(experiment, name, out=home, backend=backend, address=None, progress=silent)


@contextmanager
def one_thread() -> Iterator[None]:
    """The number of threads changes the bits; it is the caller's process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
