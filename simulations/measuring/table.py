"""``yardsticks.json``: what every yardstick reached, by seed and over seeds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.configure import dump
from simulations.experiment import Experiment
from simulations.sweeping.table import LEVEL, over_seeds

OURS = "fedknot"
"""The kind of the run's own student, which stands beside the yardsticks."""

COSTS = ("bytes_down_per_client", "bytes_up_per_client", "formula_bytes_per_client")


def tabulate(
    name: str, experiment: Experiment, seeds: Sequence[int], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of ``yardsticks.json``.

    Args:
        name: of the experiment.
        experiment: whose runs were measured on.
        seeds: of the rows.
        rows: of :func:`simulations.measuring.measurement.measure`, each with its ``seed``;
            every yardstick on every seed, and :data:`OURS` too.
    """
    names = dict.fromkeys(map(_name, rows))
    ours = {row["seed"]: _accuracy(row["curve"][-1]) for row in rows if _is_ours(row)}
    return {
        "schema": 1,
        "experiment": Path(name).stem,
        "settings": {key: value for key, value in dump(experiment).items() if key != "seed"},
        "seeds": list(seeds),
        "confidence": LEVEL,
        "parameters_cross": any(row["parameters_cross"] for row in rows),
        "yardsticks": [
            _yardstick(name, [row for row in rows if _name(row) == name], ours) for name in names
        ],
    }


def reached(row: Mapping[str, Any], accuracy: float) -> dict[str, float] | None:
    """When a federation was first as accurate on the public slice; None if never, or if it is none.

    Args:
        row: of one yardstick on one seed.
        accuracy: to be reached.

    Returns:
        ``round``, 0 before the first, and ``bytes_per_client``, down and up together until then.
    """
    if not row["traffic"] or "crossings" not in row["traffic"]:
        return None
    rounds = (n for n, found in enumerate(row["curve"]) if _accuracy(found) >= accuracy)
    if (first := next(rounds, None)) is None:
        return None
    crossed = [c for c in row["traffic"]["crossings"] if c["round"] <= first]
    total = sum(c["bytes_down"] + c["bytes_up"] for c in crossed)
    return {"round": first, "bytes_per_client": total / row["traffic"]["num_clients"]}


def _accuracy(found: Mapping[str, Any]) -> float:
    return float(found["accuracy"])


def _is_ours(row: Mapping[str, Any]) -> bool:
    return bool(row["settings"]["kind"] == OURS)


def _name(row: Mapping[str, Any]) -> str:
    """Its kind, with its settings where it has any."""
    settings = {key: value for key, value in row["settings"].items() if key != "kind"}
    plain = json.dumps(settings, sort_keys=True)
    return f"{row['settings']['kind']} {plain}" if settings else str(row["settings"]["kind"])


def _yardstick(
    name: str, rows: Sequence[Mapping[str, Any]], ours: Mapping[int, float]
) -> dict[str, Any]:
    first, traffic = rows[0], [row["traffic"] for row in rows]
    costs = [{k: t[k] for k in COSTS if k in t} for t in traffic if t is not None]
    seconds = [{"seconds": row["seconds"]} for row in rows]
    told = ("raw", "fitted", "clients", "curve", "traffic", "seconds")
    return {
        "name": name,
        "settings": first["settings"],
        "crosses": first["crosses"],
        "parameters_cross": first["parameters_cross"],
        "per_seed": {
            str(row["seed"]): {key: row[key] for key in told}
            | {"as_accurate_as_ours": reached(row, ours[row["seed"]])}
            for row in rows
        },
        "raw": over_seeds([row["raw"] for row in rows]),
        "fitted": over_seeds([row["fitted"] for row in rows]),
        "cost": (over_seeds(costs) if costs else {}) | over_seeds(seconds),
    }
