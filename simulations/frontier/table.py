"""``frontier.json``: every strength and width, over seeds: use, bytes, and what attackers find."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.configure import dump, kind_of
from simulations.folder import summary_of
from simulations.frontier.asked import PLAIN, PRIVATE, Asked, Level
from simulations.frontier.attacked import MEASURES
from simulations.frontier.findings import sentences
from simulations.guarantee import NOT_PRIVATE
from simulations.sweeping.notebook import CELLS
from simulations.sweeping.table import over_seeds

SCHEMA = 1
USE = ("accuracy", "semantic_distance")

_SYSTEM = (
    "the noise of private runs comes from the operating system: their figures do not repeat to "
    "the digit; that of the attacked models is seeded"
)
Cell = dict[str, Any]
Games = Mapping[tuple[float | None, int], Mapping[str, Any]]
"""What attackers found, by epsilon and seed."""


def tabulate(
    asked: Asked, made: Sequence[Level], sweeps: Mapping[str, Any], games: Games, folder: Path
) -> dict[str, Any]:
    """The content of ``frontier.json``.

    Args:
        asked: the picture.
        made: its strengths.
        sweeps: ``sweep.json`` of both sweeps, by the name of their folder.
        games: what attackers found.
        folder: of the picture.
    """
    cells = _cells(sweeps, folder)
    own = made[0].experiment.wire.bits
    points = [_point(level, bits, cells, games, own) for level in made for bits in level.bits]
    first = games[None, asked.seeds[0]]
    table: dict[str, Any] = {
        "schema": SCHEMA,
        "experiment": Path(asked.source).stem,
        "seeds": list(asked.seeds),
        "bits": own,
        "battery": asked.battery,
        "teachers": {PLAIN: _recipe(made[0]), PRIVATE: _recipe(made[-1])},
        "mechanism": _mechanism(made[-1]),
        "private": made[-1].experiment.clients.mechanism.private,  # type: ignore[union-attr]
        "game": {key: first[key] for key in ("records", "decisions", "models")},
        "points": points,
        "obfuscations": _obfuscations(first, games, asked.seeds),
        "faults": sorted({fault for found in games.values() for fault in found["faults"]}),
        "failed": [cell for made in sweeps.values() for cell in _failed(made)],
        "seconds": {
            "runs": round(sum(cell["seconds"] for cell in cells), 1),
            "attacks": round(sum(found["seconds"] for found in games.values()), 1),
        },
    }
    table["notes"] = _notes(table, sweeps)
    return table | {"findings": sentences(table)}


def _cells(sweeps: Mapping[str, Any], folder: Path) -> list[Cell]:
    """Every complete run: where it stands, and what its student scored."""
    found = []
    for name, made in sweeps.items():
        for cell in made["cells"]:
            if cell["status"] != "complete":
                continue
            *epsilon, bits = map(float, cell["values"])
            summary = summary_of(folder / name / CELLS / cell["name"])
            found.append(
                {
                    "epsilon": epsilon[0] if epsilon else None,
                    "bits": int(bits),
                    "seed": cell["seed"],
                    "bytes": summary["wire"]["bytes_up_per_client"],
                    "guarantee": summary["privacy"]["guarantee"],
                    "seconds": cell["seconds"] or 0.0,
                    **{key: cell["raw"][key] for key in USE},
                }
            )
    return found


def _point(
    level: Level, bits: int, cells: Sequence[Cell], games: Games, own: int
) -> dict[str, Any]:
    """One strength at one width, over the seeds that are complete."""
    here = {c["seed"]: c for c in cells if (c["epsilon"], c["bits"]) == (level.epsilon, bits)}
    beside = {c["seed"]: c for c in cells if (c["epsilon"], c["bits"]) == (None, own)}
    both = [(cell, beside[seed]) for seed, cell in here.items() if seed in beside]
    told = [found for (epsilon, _), found in games.items() if epsilon == level.epsilon]
    best = [found["releases"][f"{bits} bits"] for found in told]
    return {
        "epsilon": level.epsilon,
        "bits": bits,
        "complete": len(here),
        "use": over_seeds([{k: c[k] for k in USE} for c in here.values()]) if here else {},
        "change": over_seeds([{k: a[k] - b[k] for k in USE} for a, b in both]) if both else {},
        "bytes_up_per_client": round(sum(c["bytes"] for c in here.values()) / max(len(here), 1)),
        "guarantee": min((c["guarantee"] for c in here.values()), default=None),
        "attack": over_seeds([{key: one[key] for key in MEASURES} for one in best]),
        "by": {key: Counter(b["by"][key] for b in best).most_common(1)[0][0] for key in MEASURES},
        "allowed": told[0]["allowed"],
    }


def _obfuscations(
    first: Mapping[str, Any], games: Games, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """What is often taken for privacy; it is attacked, and not run."""
    names = [name for name in first["releases"] if not name.endswith(" bits")]
    found = [games[None, seed] for seed in seeds]
    return [
        {
            "name": name,
            "about": first["about"][name],
            "attack": over_seeds([{k: g["releases"][name][k] for k in MEASURES} for g in found]),
        }
        for name in names
    ]


def _failed(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = ("name", "status", "exit_code", "reason")
    return [{k: c[k] for k in keys} for c in made["cells"] if c["status"] != "complete"]


def _recipe(level: Level) -> str:
    return ", ".join(dict.fromkeys(kind_of(recipe) for recipe in level.experiment.clients.recipes))


def _mechanism(level: Level) -> dict[str, Any]:
    found = level.experiment.clients.mechanism
    settings = {"kind": kind_of(found)} | dump(found)
    settings.pop("epsilon_target", None)
    return settings


def _notes(table: Mapping[str, Any], sweeps: Mapping[str, Any]) -> list[str]:
    """What a person should know beside the figures."""
    versions = [note for made in sweeps.values() for note in made["notes"]]
    stamp = _SYSTEM if table["private"] else f"{NOT_PRIVATE}: this is a test and no guarantee"
    game = table["game"]
    return [
        stamp,
        f"every attacked model has learned {game['records']} records, which may be fewer than a "
        "client holds: attacks compare the points, and are no forecast for a run",
        *dict.fromkeys(versions),
    ]
