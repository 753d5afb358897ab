"""Finished runs of one experiment, seed by seed, for commands that measure on top of them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from common.configure import dump, load
from common.failures import DataError, FolderError
from simulations.events import silent
from simulations.experiment import Experiment
from simulations.folder import summary_of
from simulations.identity import content_changes, contents
from simulations.runner import Backend, execute


def seeded(experiment: Experiment, seed: int) -> Experiment:
    """The same experiment with another seed."""
    return load(Experiment, dump(experiment) | {"seed": seed})


def finished_run(experiment: Experiment, name: str, home: Path, backend: Backend) -> Path:
    """The finished run in ``home``; one that was interrupted, or never begun, is run anew.

    Raises:
        DataError: it was made of other data than lies there now.
    """
    try:
        if summary_of(home)["status"] == "complete":
            _refuse_other_data(home, experiment)
            return home
    except FolderError:
        pass
    shutil.rmtree(home, ignore_errors=True)
    return execute(experiment, name, out=home, backend=backend, address=None, progress=silent)


def _refuse_other_data(home: Path, experiment: Experiment) -> None:
    """What was measured on a run goes on being shown beside what is measured now."""
    if changed := content_changes(home, contents(experiment)):
        raise DataError(
            f"the data has changed since {home} was run ({'; '.join(changed)}); put back what it "
            "was, or give another --out"
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """The number of threads changes the bits; it is the caller's process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
