"""The picture as lines for a terminal, and the table that lines and page share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulations.frontier.figures import name_of, size
from simulations.sweeping.files import interval

HEAD = ("epsilon", "bits", "accuracy", "SD", "bytes up", "AUC", "TPR at 1 %", "TPR at 0.1 %",
        "allowed")  # fmt: skip
READING = (
    "SD: semantic distance, raw; lower is better. Bytes up: of one client. AUC, TPR: of the "
    "strongest attack on membership, in per cent; chance is 50 %, 1 % and 0.1 %. Allowed: the most "
    "that the guarantee lets any attack find at 0.1 %. Intervals are Student's at 95 %, over seeds."
)
_RARE = "tpr_0.001"
_DASH = "\N{EN DASH}"


def rows(made: Mapping[str, Any]) -> list[list[str]]:
    """Every point as written figures, in the order of :data:`HEAD`."""
    return [
        [
            name_of(point),
            str(point["bits"]),
            interval(point["use"].get("accuracy")),
            interval(point["use"].get("semantic_distance")),
            size(point["bytes_up_per_client"]) if point["use"] else _DASH,
            *(_share(point["attack"][key]) for key in ("auc", "tpr_0.01", _RARE)),
            f"{point['allowed'][_RARE]:.1%}" if point["allowed"] else _DASH,
        ]
        for point in made["points"]
    ]


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: the table, a sentence a finding, and where the page is."""
    table = [list(HEAD), *rows(made)]
    wide = [max(len(row[k]) for row in table) + 2 for k in range(len(HEAD))]
    seeds, game = ", ".join(map(str, made["seeds"])), made["game"]
    return [
        f"{made['experiment']}: seeds {seeds}; {game['models'][0]} attacked models and "
        f"{game['decisions']:,} decisions a point and seed",
        "",
        *("".join(f"{cell:>{w}}" for cell, w in zip(row, wide, strict=True)) for row in table),
        "",
        *made["findings"],
        "",
        *(f"FAILED: {fault}" for fault in made["faults"]),
        READING,
        *(f"note: {note}" for note in made["notes"]),
        f"report: {folder / 'report.html'}",
    ]


def _share(found: Mapping[str, Any]) -> str:
    """``99.0 ±0.2`` per cent."""
    told = f"{100 * found['mean']:.1f}"
    return told if found["high"] is None else f"{told} ±{100 * (found['high'] - found['mean']):.1f}"
