"""``fedknot attack``: from what is typed to a folder with ``attack.json`` and ``attack.html``."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.failures import ConfigError, FolderError
from common.files import full_disk_is_a_failure, write_json, write_text
from simulations.attacks._battery import Battery, attack
from simulations.attacks._finished import attack_run
from simulations.attacks._page import page
from simulations.events import Progress
from simulations.experiment_file import read, shipped
from simulations.folder import is_run_folder

_FILES = {"attack.json", "attack.html"}


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        target: a shipped name, a TOML file or a run folder.
        battery: how large.
        overrides: TOML assignments; none for a run folder.
        seed: wins over all; None keeps the experiment's.
        out: where to write; None for a new folder under ``runs/``, or the run folder itself.
    """

    target: str
    battery: Battery
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    out: Path | None = None


def run(asked: Asked, progress: Progress) -> tuple[dict[str, Any], Path]:
    """Attack, and write what was found.

    Returns:
        The content of ``attack.json``, and the folder; the same call, the same figures.

    Raises:
        ConfigError: it describes nothing that can be attacked.
        DataError: data is missing, or too little to attack.
        FolderError: the run or the folder cannot be used.
    """
    target = Path(asked.target)
    finished = asked.target not in shipped() and target.is_dir()
    if finished and not is_run_folder(target):
        raise FolderError(f"{target} is not a run folder; give the folder of a run")
    if finished and (asked.overrides or asked.seed is not None):
        raise ConfigError("a finished run cannot be changed; leave out --set and --seed")
    folder = target if finished and asked.out is None else _claimed(asked)
    if finished:
        made = attack_run(target, asked.battery, progress)
    else:
        experiment = read(asked.target, list(asked.overrides), asked.seed)
        made = attack(experiment, target.stem, asked.battery, progress)
    with full_disk_is_a_failure():
        write_json(folder / "attack.json", made)
        write_text(folder / "attack.html", page(made))
    return made, folder


def _claimed(asked: Asked) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = asked.out or Path("runs") / f"attack-{Path(asked.target).stem}-{stamp}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = {path.name for path in folder.iterdir()} - _FILES
    except OSError as error:
        why = (error.strerror or "cannot be made").lower()
        raise FolderError(f"cannot write {folder} ({why}); give another --out") from error
    if strangers:
        raise FolderError(f"{folder} exists and is not empty; give another --out")
    return folder
