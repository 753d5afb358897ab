"""A finished run under attack: what its clients released, against what lies in their stores."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from clients.store import Store
from common.configure import dump
from common.seeds import derive
from simulations.attacks import Finding
from simulations.attacks._adaptive import copied
from simulations.attacks._battery import SCHEMA, USE, about, tabulated
from simulations.attacks._figures import membership
from simulations.attacks._game import SIZES
from simulations.attacks._membership import told
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._stores import FinishedRun, open_run, said_by, scenes_of
from simulations.attacks.extraction import Extraction
from simulations.attacks.label_distribution import compared, distribution_finding
from simulations.events import Progress
from simulations.finished import one_thread
from simulations.folder import summary_of


def attack_run(folder: Path, battery: str, progress: Progress) -> dict[str, Any]:
    """Attack what the clients of a finished run released in its first round.

    Args:
        folder: of a complete run.
        battery: "quick" or "full".
        progress: told where it is.

    Returns:
        The content of ``attack.json``.

    Raises:
        FolderError: the run is not complete, or its releases are damaged.
        DataError: its clients answered in a secure sum, or hold too little.
    """
    started, size = time.monotonic(), SIZES[battery]
    with one_thread():
        run = open_run(folder, size)
        scenes = scenes_of(run, progress)
        findings = [*_members(scenes, run), *_teachers(scenes), _labels(scenes, run)]
    first = next(iter(scenes.values()))
    game = about(first.game) | {
        "targets": len(scenes),
        "decisions": len(scenes) * len(first.game.pool),
        "candidate_rows": {k: s.game.pool.numbers.tolist() for k, s in scenes.items()},
    }
    return {
        "schema": SCHEMA,
        "experiment": str(summary_of(folder).get("experiment", folder.name)),
        "battery": battery,
        "use": USE,
        "run": folder.name,
        "game": game,
        "defences": [_own(first.rows[0])],
        **tabulated(findings, {}),
        "settings": dump(run.experiment),
        "seconds": round(time.monotonic() - started, 1),
    }


def _members(scenes: dict[int, Scene], run: FinishedRun) -> list[Finding]:
    scores, inside = [], []
    for scene in scenes.values():
        seen = scene.rows[0]
        parts = seen.targets.shared, seen.shadows.shared
        scores.append(copied(scene, *parts, seen.defence.grain).scores[0])
        inside.append(scene.inside[0])
    first = next(iter(scenes.values()))
    rng = np.random.default_rng(derive(run.experiment.seed, "attack", "draws"))
    found = membership(np.stack(scores), np.stack(inside), rng)
    return [told("adaptive", first.rows[0], "disjoint", found)]


def _teachers(scenes: dict[int, Scene]) -> list[Finding]:
    """Extraction from each client; the figures of the one that gives most away."""
    found = [finding for scene in scenes.values() for finding in Extraction().run(scene)]
    return [max(found, key=lambda finding: float(finding.figures["agreement"]))]


def _labels(scenes: dict[int, Scene], run: FinishedRun) -> Finding:
    labels = len(run.terms.labels)
    guess = np.stack([said_by(run, client).mean(axis=0) for client in scenes])
    stores = [Store(run.folder / "clients" / str(k)) for k in scenes]
    counts = [np.bincount(s.shard()[1], minlength=labels).astype(float) for s in stores]
    name = next(iter(scenes.values())).rows[0].defence.name
    return distribution_finding(compared(guess, np.stack(counts)), name)


def _own(seen: Seen) -> dict[str, Any]:
    return {
        "name": seen.defence.name,
        "about": seen.defence.about,
        "control": False,
        "own": True,
        "mu": None,
        "accuracy": None,
        "accuracy_together": None,
    }
