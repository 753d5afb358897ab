"""``fedknot yardsticks``: one run per seed, and every yardstick on what its clients hold.

The runs are ordinary ones. When one is over, the observer opens its folder and measures; the
yardsticks that send parameters do so here, in this process, and nowhere else.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.configure import dump, kind_of, kinds, load
from common.failures import ConfigError
from common.files import full_disk_is_a_failure, write_json, write_text
from simulations.comparing.choices import read_item, split_list
from simulations.comparing.notebook import Notebook, claimed
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.finished import finished_run, one_thread, seeded
from simulations.folder import summary_of
from simulations.measuring.files import results_csv
from simulations.measuring.table import OURS, tabulate
from simulations.runner import Backend
from simulations.world import Grades, World, open_world
from simulations.yardsticks import Outcome, Yardstick

ROWS = "yardsticks.jsonl"


@dataclass(frozen=True)
class Call:
    """What is asked for.

    Attributes:
        experiment: whose runs are measured on; its seed is not used.
        name: under which it is reported.
        yardsticks: without repetition.
        seeds: one run each.
        backend: of the runs.
    """

    experiment: Experiment
    name: str
    yardsticks: tuple[Yardstick, ...]
    seeds: tuple[int, ...]
    backend: Backend = "inline"


def choose(text: str | None) -> tuple[Yardstick, ...]:
    """The yardsticks of a list as it is typed; every kind for None.

    Args:
        text: kinds, or inline tables such as ``{ kind = "fedprox", mu = 0.1 }``.

    Raises:
        ConfigError: an unknown kind or setting, or an empty list.
    """
    items = kinds(Yardstick) if text is None else split_list(text)
    if not items:
        raise ConfigError(f"--only: nothing to measure; write one of {', '.join(kinds(Yardstick))}")
    made: list[Yardstick] = [
        load(Yardstick, read_item(item, "--only"), "--only")  # type: ignore[type-abstract]
        for item in items
    ]
    return tuple(dict.fromkeys(made))


def measure_all(call: Call, out: Path | None, progress: Progress) -> Path:
    """Run and measure what is not there yet; write ``yardsticks.json`` and ``results.csv``.

    Args:
        call: what is measured.
        out: a new or empty folder, or one begun for the same experiment, which is continued,
            also with more yardsticks or seeds; None for a new one under ``runs/``.
        progress: told ("yardsticks", measured, in all), and the rounds of each federation.

    Returns:
        The folder.

    Raises:
        ConfigError: training diverged.
        FolderError: the folder holds something else.
    """
    folder = (out or _default(call.name)).absolute()
    with claimed(folder), full_disk_is_a_failure(), one_thread():
        notebook = Notebook(folder, call.experiment, ROWS)
        rows = list(_rows(call, notebook, progress))
        made = tabulate(call.name, call.experiment, call.seeds, rows)
        write_text(folder / "results.csv", results_csv(made))
        write_json(folder / "yardsticks.json", made)
    return folder


def measure(yardstick: Yardstick, world: World, progress: Progress) -> dict[str, Any]:
    """What is kept of one yardstick on one world, as JSON.

    Args:
        yardstick: what is measured.
        world: a run that is over, see :func:`simulations.world.open_world`.
        progress: told (kind, steps done, steps in all).

    Returns:
        ``settings``, ``crosses``, ``parameters_cross``, ``raw`` and ``fitted`` metrics on the
        test rows, ``clients`` (the same for each) or None, ``curve`` on the public slice,
        ``traffic`` or None, ``seconds``.
    """
    kind, started = kind_of(yardstick), time.monotonic()
    outcome = yardstick.measure(world, lambda done, total: progress(kind, done, total))
    return {
        "settings": {"kind": kind} | dump(yardstick),
        **_crossing(yardstick.crosses),
        **_told(outcome),
        "seconds": round(time.monotonic() - started, 3),
    }


def measure_ours(world: World) -> dict[str, Any]:
    """The run's own student in the form of :func:`measure`; it is no yardstick."""
    summary = summary_of(world.folder)
    student, clients = world.distilled(), world.experiment.data.num_clients
    grades, wire = world.grade(world.answers(student)), summary["wire"]
    return {
        "settings": {"kind": OURS},
        **_crossing("predictions"),
        **_graded(grades),
        "clients": None,
        "curve": [world.on_slice(student)],
        "traffic": {
            "bytes_down_per_client": wire["bytes_down"] / clients,
            "bytes_up_per_client": wire["bytes_up"] / clients,
        },
        "seconds": summary["seconds"]["total"],
    }


def _rows(call: Call, notebook: Notebook, progress: Progress) -> Iterable[dict[str, Any]]:
    total, done = len(call.seeds) * (len(call.yardsticks) + 1), 0
    progress("yardsticks", done, total)
    for seed in call.seeds:
        experiment = seeded(call.experiment, seed)
        home = notebook.folder / "seeds" / str(seed)
        finished_run(experiment, call.name, home, call.backend)
        world: World | None = None
        for yardstick in (None, *call.yardsticks):
            key = _key(yardstick, experiment)
            if key not in notebook:
                world = world or open_world(home)
                found = _row(yardstick, world, progress)
                notebook.add({"key": key, "seed": seed, **found})
            done += 1
            progress("yardsticks", done, total)
            yield notebook[key]


def _row(yardstick: Yardstick | None, world: World, progress: Progress) -> dict[str, Any]:
    return measure_ours(world) if yardstick is None else measure(yardstick, world, progress)


def _key(yardstick: Yardstick | None, experiment: Experiment) -> str:
    """SHA-256, in hexadecimal, of a yardstick on one run; None stands for the run itself."""
    settings = None if yardstick is None else {"kind": kind_of(yardstick)} | dump(yardstick)
    table = {"yardstick": settings, "run": experiment.run_id, "seed": experiment.seed}
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _crossing(crosses: str) -> dict[str, Any]:
    return {"crosses": crosses, "parameters_cross": crosses == "parameters"}


def _told(outcome: Outcome) -> dict[str, Any]:
    clients, traffic = outcome.clients, outcome.traffic
    return {
        **_graded(outcome.grades),
        "clients": clients and {str(k): _graded(grades) for k, grades in clients.items()},
        "curve": list(outcome.curve),
        "traffic": None if traffic is None else traffic.table(),
    }


def _graded(grades: Grades) -> dict[str, Any]:
    return {"raw": grades.raw, "fitted": dict(grades.fitted)}


def _default(name: str) -> Path:
    return Path("runs") / f"yardsticks-{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
