"""All attacks on one scene, and what comes of them: ``attack.json``."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from common.configure import dump, find, kind_of, kinds
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import RATES
from simulations.attacks._game import SIZES, Game, Size, draw
from simulations.attacks._scene import Scene, Seen, accuracy, set_up
from simulations.attacks._taken import Taken
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.finished import one_thread

Battery = Literal["quick", "full"]
SCHEMA = 1
USE = (
    "Played against simulated clients that this program trained itself; it attacks nobody else. "
    "What these attacks do not find, another one may."
)
_TOGETHER = 4


def attack(
    experiment: Experiment, name: str, battery: Battery, progress: Progress
) -> dict[str, Any]:
    """Play a battery on an experiment's data with clients of its own kind.

    Args:
        experiment: whose recipe, codes, mechanism and vetting are attacked.
        name: under which it is reported.
        battery: how large.
        progress: told where it is.

    Returns:
        The content of ``attack.json``; the same experiment and battery, the same but for
        ``seconds``.

    Raises:
        ConfigError: there are too few private rows.
        DataError: the data set is missing or damaged.
    """
    return play(experiment, name, battery, SIZES[battery], progress)


def play(
    experiment: Experiment, name: str, battery: str, size: Size, progress: Progress
) -> dict[str, Any]:
    """:func:`attack` of any size."""
    started = time.monotonic()
    with one_thread():
        scene = set_up(draw(experiment, size, progress), progress)
        findings, missing = run_all(scene, battery == "quick")
    return {
        "schema": SCHEMA,
        "experiment": name,
        "battery": battery,
        "use": USE,
        "run": None,
        "game": about(scene.game),
        "defences": _defences(scene),
        **tabulated(findings, missing),
        "settings": dump(experiment),
        "seconds": round(time.monotonic() - started, 1),
    }


def run_all(scene: Scene, quick: bool) -> tuple[list[Finding], dict[str, str]]:
    """Every attack that can be played; findings, and why the others cannot."""
    return _all(quick, lambda a: a.obstacle(scene), lambda a: a.run(scene), scene.progress)


def run_all_against(taken: Taken, quick: bool) -> tuple[list[Finding], dict[str, str]]:
    """The same against a finished run."""
    how = (lambda a: a.obstacle_in(taken)), (lambda a: a.against(taken))
    return _all(quick, *how, taken.progress)


def _all(
    quick: bool,
    obstacle: Callable[[Attack], str | None],
    run: Callable[[Attack], list[Finding]],
    progress: Progress,
) -> tuple[list[Finding], dict[str, str]]:
    findings: list[Finding] = []
    missing: dict[str, str] = {}
    members = [find(Attack, kind)() for kind in kinds(Attack)]  # type: ignore[type-abstract]
    chosen = [member for member in members if member.quick or not quick]
    for done, member in enumerate(chosen):
        progress("attacks", done, len(chosen))
        if (why := obstacle(member)) is not None:
            missing[kind_of(member)] = why
        else:
            findings += run(member)
    progress("attacks", len(chosen), len(chosen))
    return findings, missing


def about(game: Game) -> dict[str, Any]:
    """The size of what was played."""
    size = game.size
    return {
        "teacher": kind_of(game.recipe),
        "encoder": kind_of(game.encoder),
        "candidates": len(game.pool),
        "members": len(game.pool) // 2,
        "shared": len(game.shared),
        "targets": size.targets,
        "shadows": size.shadows,
        "decisions": size.targets * len(game.pool),
        "candidate_rows": game.pool.numbers.tolist(),
    }


def tabulated(findings: Sequence[Finding], missing: dict[str, str]) -> dict[str, Any]:
    """Findings as JSON, the strongest attack on each defence, and the gates."""
    rows = [
        {
            "attack": f.attack,
            "defence": f.defence,
            "place": f.place,
            "figures": dict(f.figures),
            "sentence": f.sentence,
            "fault": f.fault,
        }
        for f in findings
    ]
    return {
        "findings": rows,
        "strongest": strongest(findings),
        "not_played": missing,
        "faults": [f.fault for f in findings if f.fault],
    }


def strongest(findings: Sequence[Finding]) -> dict[str, Any]:
    """For each defence the largest figure that any attack on membership reached.

    Of several attacks the largest is reported, for a defence is as good as against the best
    (Aerni, Zhang, Tramer. CCS 2024); so it is a little flattered by chance.
    """
    made: dict[str, Any] = {}
    for f in findings:
        if "auc" not in f.figures or f.place == "student":
            continue
        best = made.setdefault(f.defence, {})
        _raise(best, "auc", f.figures["auc"], f.attack, f.figures["auc_interval"])
        for rate in map(str, RATES):
            span = f.figures["tpr_interval"][rate]
            _raise(best, f"tpr_{rate}", f.figures["tpr"][rate], f.attack, span)
    return made


def _raise(best: dict[str, Any], key: str, value: float, kind: str, span: list[float]) -> None:
    if key not in best or value > best[key]["value"]:
        best[key] = {"value": value, "interval": span, "attack": kind}


def _defences(scene: Scene) -> list[dict[str, Any]]:
    """What each defence is, and what it costs."""
    labels = scene.game.fresh.labels
    return [
        described(seen, seen is scene.own)
        | {
            "accuracy": accuracy(seen.targets, labels),
            "accuracy_together": accuracy(seen.targets, labels, _TOGETHER),
        }
        for seen in scene.rows
    ]


def described(seen: Seen, own: bool) -> dict[str, Any]:
    """What a defence is; what it costs is not measured here."""
    return {
        "name": seen.defence.name,
        "about": seen.defence.about,
        "control": seen.defence.control,
        "own": own,
        "mu": seen.mu,
        "accuracy": None,
        "accuracy_together": None,
    }
