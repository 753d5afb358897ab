"""What attackers find out at one strength of privacy: one game, all widths of codes at once."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.configure import dump, find, kinds
from common.files import read_json, write_json
from simulations.attacks import Attack, Finding
from simulations.attacks._battery import strongest
from simulations.attacks._figures import RATES, most_tpr
from simulations.attacks._game import SIZES, Game, Size, draw
from simulations.attacks._membership import Membership
from simulations.attacks._release import Defence, at_width, obfuscations
from simulations.attacks._scene import Scene, accuracy, noise_seed, repeatable, set_up
from simulations.attacks.label_only import LabelOnly
from simulations.events import silent
from simulations.finished import one_thread, seeded
from simulations.frontier.asked import OFF, Level

MEASURES = ("auc", *(f"tpr_{rate}" for rate in RATES))
"""Of the strongest attack: area under the curve, and members found at each rate."""

_DIGITS = 8


def attacked(level: Level, seed: int, battery: str, folder: Path) -> dict[str, Any]:
    """What lies in ``folder`` of an earlier call, or what attacking now finds.

    The noise of attacked models is seeded, so that figures repeat; the attacks do not use it.

    Args:
        level: the strength.
        seed: of the experiment.
        battery: how many models.
        folder: of all such files.

    Returns:
        ``releases``: by name, of the strongest attack each of :data:`MEASURES` and by which;
        ``accuracy`` of single attacked models; ``allowed``: what the guarantee allows any
        attack at each rate, or None; ``faults``: promises that were broken.

    Raises:
        ConfigError: there are too few private rows.
        DataError: the data set is missing or damaged.
    """
    experiment, size = seeded(level.experiment, seed), SIZES[battery]
    name = OFF if level.epsilon is None else f"{level.epsilon:g}"
    told = [dump(experiment), asdict(size), list(level.bits)]
    mark = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    path = folder / f"{name}-{seed}-{mark[:_DIGITS]}.json"
    if (found := _read(path)) is not None:
        return found
    started = time.monotonic()
    with one_thread():
        made = _played(draw(experiment, size, silent), level, size)
    made |= {"seconds": round(time.monotonic() - started, 1)}
    write_json(path, made)
    return made


def _played(game: Game, level: Level, size: Size) -> dict[str, Any]:
    scene = set_up(game, silent, _offered(game, level))
    findings = [found for attack in attacks() for found in attack.run(scene)]
    mu = scene.rows[0].mu
    return {
        "releases": _best(findings),
        "accuracy": _accuracies(scene),
        "about": {seen.defence.name: seen.defence.about for seen in scene.rows},
        "allowed": None if mu is None else {f"tpr_{r}": most_tpr(mu, r) for r in RATES},
        "records": len(game.pool) // 2,
        "decisions": size.targets * len(game.pool),
        "models": [size.targets, size.shadows],
        "faults": _faults(findings, level),
    }


def _faults(findings: list[Finding], level: Level) -> list[str]:
    """Promises that were broken."""
    return [f"epsilon {level.epsilon:g}: {found.fault}" for found in findings if found.fault]


def attacks() -> list[Membership]:
    """Those that rank candidates by a release; favourites alone are what one bit says."""
    made = [find(Attack, kind)() for kind in kinds(Attack)]  # type: ignore[type-abstract]
    return [a for a in made if isinstance(a, Membership) and not isinstance(a, LabelOnly)]


def _offered(game: Game, level: Level) -> tuple[Defence, ...]:
    """Every width; without a guarantee also what is often taken for one."""
    own = level.experiment.clients.mechanism
    if own is None:
        bits, rows = level.experiment.wire.bits, len(game.shared)
        return (*(at_width(b, "codes alone") for b in level.bits), *obfuscations(bits, rows))
    told, mechanism = f"epsilon {level.epsilon:g}", repeatable(own, noise_seed(game))
    return tuple(at_width(b, told, mechanism) for b in level.bits)


def _best(findings: list[Finding]) -> dict[str, Any]:
    return {
        name: {key: best[key]["value"] for key in MEASURES}
        | {"by": {key: best[key]["attack"] for key in MEASURES}}
        for name, best in strongest(findings).items()
    }


def _accuracies(scene: Scene) -> dict[str, float]:
    labels = scene.game.fresh.labels
    return {seen.defence.name: accuracy(seen.targets, labels) for seen in scene.rows}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    whole = isinstance(found, Mapping) and {"releases", "seconds"} <= set(found)
    return dict(found) if whole else None
