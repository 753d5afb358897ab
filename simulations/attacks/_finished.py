"""A finished run under attack: what its clients released, against what lies in their stores."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.configure import dump
from simulations.attacks import Finding
from simulations.attacks._battery import SCHEMA, USE, about, described, run_all_against, tabulated
from simulations.attacks._game import SIZES
from simulations.attacks._part import CONTROL
from simulations.attacks._school import comparable
from simulations.attacks._stores import FinishedRun, open_run
from simulations.attacks._taken import Taken, take
from simulations.events import Progress
from simulations.finished import one_thread
from simulations.folder import summary_of


def attack_run(folder: Path, battery: str, progress: Progress) -> dict[str, Any]:
    """Attack what the clients of a finished run released in its first round, and its student.

    Of a run with secure sums the server has the sum, and that is what is attacked.

    Args:
        folder: of a complete run.
        battery: "quick" or "full".
        progress: told where it is.

    Returns:
        The content of ``attack.json``.

    Raises:
        FolderError: the run is not complete, or its releases are damaged.
        DataError: its clients answered about a part of the texts, or hold too little.
    """
    started, size = time.monotonic(), SIZES[battery]
    with one_thread():
        run = open_run(folder, size)
        taken = take(run, progress)
        findings, missing = run_all_against(taken, battery == "quick")
    return {
        "schema": SCHEMA,
        "experiment": str(summary_of(folder).get("experiment", folder.name)),
        "battery": battery,
        "use": USE,
        "run": folder.name,
        "game": _game(taken),
        "defences": [described(rows[0][1], name == taken.own) for name, rows in taken.rows.items()],
        **tabulated(findings, missing),
        "without_protection": _without(run, findings),
        "settings": dump(run.experiment),
        "seconds": round(time.monotonic() - started, 1),
    }


def _game(taken: Taken) -> dict[str, Any]:
    clients = taken.scenes
    return about(taken.first.game) | {
        "targets": len(clients),
        "decisions": len(clients) * taken.width,
        "alike": taken.alike,
        "candidate_rows": {k: s.game.pool.numbers.tolist() for k, s in clients.items()},
    }


def _without(run: FinishedRun, findings: Sequence[Finding]) -> float | None:
    """Accuracy of a student of the same run in which nothing protects the clients.

    None where it would differ from the run's own student in more than that.
    """
    if not comparable(run):
        return None
    there = (f for f in findings if f.attack == "student" and f.defence == CONTROL)
    return next((float(f.figures["accuracy"]) for f in there), None)
