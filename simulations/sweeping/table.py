"""``sweep.json``: every cell, and mean, deviation and interval over seeds of every setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulations.comparing.paired import half_width
from simulations.comparing.standings import spread
from simulations.identity import leaves
from simulations.sweeping.asked import Asked
from simulations.sweeping.grid import Cell, short
from simulations.sweeping.notebook import Notebook

LEVEL = 0.95
"""Share of seeds' samples whose interval holds the mean over all seeds, were they normal."""

STATES = ("raw", "fitted")


def tabulate(asked: Asked, grid: Sequence[Cell], notebook: Notebook) -> dict[str, Any]:
    """The content of ``sweep.json``; a pure function of the folder, but for seconds.

    Args:
        asked: the sweep.
        grid: its cells, in their order.
        notebook: what is known of them.
    """
    rows = [_row(cell, notebook) for cell in grid]
    keys = [key for key, _ in asked.vary]
    return {
        "schema": 1,
        "experiment": Path(asked.name).stem,
        "status": "complete" if all(row["status"] == "complete" for row in rows) else "failed",
        "vary": {key: [c.values[i] for c in _firsts(grid, i)] for i, key in enumerate(keys)},
        "numbers": {key: scale(key, values)[1] for key, values in asked.vary},
        "titles": short(keys),
        "axes": short([scale(key, values)[0] for key, values in asked.vary]),
        "seeds": list(asked.seeds),
        "confidence": LEVEL,
        "cells": rows,
        "settings": _settings(rows, [c.values for c in _distinct(grid)]),
        "notes": _notes(rows),
    }


def over_seeds(tables: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each metric that all seeds have: n, mean, standard deviation (n - 1) and interval.

    The interval is Student's: mean -+ t(1 - 0.05/2, n - 1) s / sqrt(n); see
    :func:`simulations.comparing.paired.half_width`. One seed has neither. It covers the choice
    of the seed (the split, teachers, student) and nothing else, and allows for no other
    interval beside it.
    """
    means, deviations = spread(tables)
    made: dict[str, dict[str, Any]] = {}
    for key, mean in means.items():
        found = [float(table[key]) for table in tables]
        half = half_width(found, 1 - LEVEL) if len(found) > 1 else None
        made[key] = {
            "n": len(found),
            "mean": mean,
            "std": deviations[key],
            "low": None if half is None else mean - half,
            "high": None if half is None else mean + half,
        }
    return made


def _row(cell: Cell, notebook: Notebook) -> dict[str, Any]:
    found = notebook.figures(cell)
    failure = None if found else notebook.failure(cell)
    known = found or {}
    failed = failure or {"exit_code": 1, "line": "it did not end"}
    return {
        "name": notebook.home(cell).name,
        "values": list(cell.values),
        "seed": cell.seed,
        "status": "complete" if found else "failed",
        "exit_code": 0 if found else failed["exit_code"],
        "reason": None if found else failed["line"],
        **{key: known.get(key) for key in (*STATES, "student", "program", "seconds")},
    }


def _settings(
    rows: Sequence[dict[str, Any]], values: Sequence[tuple[str, ...]]
) -> list[dict[str, Any]]:
    """One entry for each combination of values, over the seeds that are complete."""
    made = []
    for told in values:
        here = [row for row in rows if row["values"] == list(told)]
        done = [row for row in here if row["status"] == "complete"]
        figures = {s: over_seeds([row[s] for row in done]) if done else {} for s in STATES}
        made.append({"values": list(told), "complete": len(done), "of": len(here), **figures})
    return made


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    programs = {row["program"] for row in rows if row["program"]}
    if len(programs) < 2:
        return []
    return [
        f"the cells were run by {len(programs)} versions of the program or its libraries; "
        "take a new folder if that matters"
    ]


def _distinct(grid: Sequence[Cell]) -> list[Cell]:
    return list({cell.values: cell for cell in reversed(grid)}.values())[::-1]


def _firsts(grid: Sequence[Cell], place: int) -> list[Cell]:
    """The first cell of each value of one key."""
    made: dict[str, Cell] = {}
    for cell in grid:
        made.setdefault(cell.values[place], cell)
    return list(made.values())


def scale(key: str, values: Sequence[Any]) -> tuple[str, list[float] | None]:
    """What the values of a key measure, and how much of it each is; None where they are no scale.

    Numbers are a scale, and so are tables that are equal but for one number: skew by
    ``data.partition`` is measured by ``data.partition.alpha``.

    Args:
        key: dotted.
        values: as typed.
    """
    tables = [leaves(value) if isinstance(value, Mapping) else {"": value} for value in values]
    if any(table.keys() != tables[0].keys() for table in tables):
        return key, None
    free = [part for part in tables[0] if any(t[part] != tables[0][part] for t in tables)]
    if len(values) == 1:
        free = [part for part in tables[0] if part == ""]
    if len(free) != 1 or not all(_is_number(table[free[0]]) for table in tables):
        return key, None
    return f"{key}.{free[0]}".rstrip("."), [float(table[free[0]]) for table in tables]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
