"""One cell from an order to its figures, in the worker's process."""

import contextlib
import json
import shutil
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from common.configure import load
from common.failures import Failure
from common.files import write_json, write_text
from common.lock import held
from simulations.events import silent
from simulations.experiment import Experiment
from simulations.experiment_file import to_toml
from simulations.folder import create, is_run_folder, keep_call
from simulations.identity import content_changes, contents, identity_changes, keep_identity
from simulations.provision import provision
from simulations.resumption import resume
from simulations.runner import Backend, carry_out
from simulations.sweeping import lending, pruning
from simulations.sweeping.grading import grade
from simulations.sweeping.notebook import FIGURES, TEACHERS, is_complete


@dataclass(frozen=True)
class Order:
    """What a worker is to do.

    Attributes:
        home: the cell's run folder.
        name: of the experiment, under which the run is reported.
        experiment: of the cell.
        backend: of the run.
        whole: whether the run folder stays as it is.
    """

    home: Path
    name: str
    experiment: Experiment
    backend: Backend
    whole: bool

    def line(self) -> str:
        """As one line of JSON."""
        told = {
            "home": str(self.home),
            "name": self.name,
            "experiment": to_toml(self.experiment),
            "backend": self.backend,
            "whole": self.whole,
        }
        return json.dumps(told)

    @classmethod
    def read(cls, line: str) -> "Order":
        """The order that :meth:`line` wrote."""
        told = json.loads(line)
        made = load(Experiment, tomllib.loads(told["experiment"]))
        return cls(Path(told["home"]), told["name"], made, told["backend"], told["whole"])


def do(order: Order) -> None:
    """Run what is not done of a cell; grade it; keep what is to be kept.

    Raises:
        Failure: as :func:`simulations.runner.execute`.
    """
    home, shelf = order.home, order.home.parents[1] / TEACHERS
    if not _is_done(home, order.experiment):
        if _can_go_on(home, order.experiment):
            resume(
                home,
                order.experiment,
                order.name,
                backend=order.backend,
                address=None,
                progress=silent,
                say=_log,
            )
        else:
            _anew(order, shelf)
    write_json(home / FIGURES, grade(home, order.experiment))
    if order.backend == "inline" and (home / "clients").is_dir():
        lending.keep(home, shelf)
    if not order.whole:
        pruning.prune(home)


def _anew(order: Order, shelf: Path) -> None:
    """A run like any other, but with the teachers there that another cell has trained."""
    home, experiment = order.home, order.experiment
    if home.exists():
        with held(home):
            changed = "; ".join(content_changes(home, contents(experiment)))
            _log(f"{home.name} is begun anew{': ' if changed else ''}{changed}")
        shutil.rmtree(home)
    create(home, order.name, experiment.seed)
    with held(home):
        call = {
            "experiment": Path(order.name).stem,
            "backend": order.backend,
            "started": time.time(),
        }
        write_text(home / "experiment.toml", to_toml(experiment))
        keep_call(home, **call)
        keep_identity(home, experiment)
        if order.backend == "inline" and shelf.is_dir():
            with contextlib.suppress(Failure):  # it comes again, and is told then
                provision(experiment, home, silent)
                lending.lend(home, shelf)
        carry_out(experiment, home, call, None, silent)


def _is_done(home: Path, experiment: Experiment) -> bool:
    return is_complete(home) and not content_changes(home, contents(experiment))


def _can_go_on(home: Path, experiment: Experiment) -> bool:
    """Whether what is there was begun by this very program; if not, it is done anew."""
    if not is_run_folder(home):
        return False
    try:
        return not identity_changes(home, experiment)
    except (OSError, ValueError, LookupError):
        return False


def _log(line: str) -> None:
    sys.stderr.write(f"fedknot: {line}\n")
