"""The matrix as tables: ``results.csv``, and lines for a terminal."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulations.comparing.files import KEYS
from simulations.sweeping.files import interval

MEASURES = (
    ("accuracy", "raw", "accuracy"),
    ("semantic distance", "raw", "semantic_distance"),
    ("semantic distance at the fitted temperature", "fitted", "semantic_distance"),
)
"""What a person sees: title, state and key of each matrix."""

NOBODY = "nobody"


def results_csv(made: Mapping[str, Any]) -> str:
    """One line per rule, lie, seed and metric: raw, and at the fitted temperature."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["experiment", "seed", *KEYS, "poison", "attackers", "clients", "weight"]
    table.writerow([*head, "metric", "raw", "fitted"])
    for cell in made["cells"]:
        varied = [cell["columns"][key] for key in KEYS]
        case = [cell["poison"] or NOBODY, cell["attackers"], made["clients"]]
        for seed, row in cell["per_seed"].items():
            told = [made["experiment"], seed, *varied, *case, row["weight"]]
            for metric, raw in row["raw"].items():
                if raw is not None:
                    table.writerow([*told, metric, raw, row["fitted"].get(metric, "")])
    return text.getvalue()


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: a matrix per measure, notes, and where the report is."""
    seeds = ", ".join(map(str, made["seeds"]))
    printed = [f"{made['experiment']}: some of {made['clients']} clients lie; seeds {seeds}"]
    wide = 2 + max(len(arm) for arm in made["arms"])
    for title, state, key in MEASURES:
        printed += ["", f"{title}, mean ± 95 % over seeds"]
        for poison, rows in matrix(made, state, key).items():
            head = "".join(f"{told:>15}" for told in titles(made))
            printed.append(f"{poison:{wide}}{head}")
            printed += [
                f"  {arm:{wide - 2}}" + "".join(f"{interval(c):>15}" for c in found)
                for arm, found in rows.items()
            ]
    notes = [f"note: {note}" for note in made["notes"]]
    return [*printed, "", *notes, f"report: {folder / 'report.html'}"]


def titles(made: Mapping[str, Any]) -> list[str]:
    """``nobody``, ``1 of 10``, ..."""
    return [f"{n} of {made['clients']}" if n else NOBODY for n in made["counts"]]


def matrix(
    made: Mapping[str, Any], state: str, key: str
) -> dict[str, dict[str, list[Mapping[str, Any] | None]]]:
    """By lie and rule, one metric for each number of attackers; None where there is none."""
    found = {
        (cell["poison"], cell["arm"], cell["attackers"]): cell[state].get(key)
        for cell in made["cells"]
    }
    return {
        poison: {
            arm: [found.get((poison if n else None, arm, n)) for n in made["counts"]]
            for arm in made["arms"]
        }
        for poison in made["poisons"]
    }
