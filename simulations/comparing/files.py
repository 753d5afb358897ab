"""A comparison as tables: ``results.csv``, ``results.parquet``, and lines for a terminal."""

import csv
import io
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simulations.comparing.standings import spread

KEYS = ("loss", "weighting", "aggregator", "geometry")
COLUMNS = (
    ("accuracy", "raw", "accuracy"),
    ("macro-F1", "raw", "macro_f1"),
    ("SD", "raw", "semantic_distance"),
    ("SD at T", "fitted", "semantic_distance"),
    ("W1", "raw", "w1"),
    ("ECE", "raw", "ece"),
)
"""The table a person sees: title, state and key of each column."""

NOTHING_SELECTED = "Nothing was selected on these figures: they are of test rows, opened once."
_MOST_ROWS = 18


def results_csv(made: Mapping[str, Any]) -> str:
    """One line per arm, seed and metric: raw, and at the temperature fitted for likelihood.

    Metrics that belong to a temperature have no value at the fitted one.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["experiment", "seed", *KEYS, "metric", "raw", "fitted"])
    for arm in made["arms"]:
        varied = [arm["columns"][key] for key in KEYS]
        for seed, figures in arm["per_seed"].items():
            for metric, raw in figures["raw"].items():
                if raw is not None:
                    fitted = figures["fitted"].get(metric, "")
                    table.writerow([made["experiment"], seed, *varied, metric, raw, fitted])
    return text.getvalue()


def write_parquet(folder: Path) -> None:
    """The same as ``results.parquet``, where pyarrow is installed."""
    if find_spec("pyarrow") is None:
        return
    import pandas as pd

    pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""]).to_parquet(
        folder / "results.parquet", index=False
    )


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: a table, one line per verdict, and where the report is."""
    rows = list(table_rows(made))
    bounds = [row for row in rows if row[2] == "bound"]
    shown = rows[: min(_MOST_ROWS, len(rows)) - len(bounds)] + bounds
    wide = max(24, *(len(name) for name, _, _ in shown))
    seeds = ", ".join(map(str, made["seeds"]))
    head = f"{made['experiment']}: the same predictions for every arm; seeds {seeds}"
    titles = "".join(f"{title:>15}" for title, _, _ in COLUMNS)
    printed = [head, "", f"{'mean ± deviation':{wide}}{titles}"]
    for name, cells, _ in shown:
        printed.append(f"{name:{wide}}" + "".join(f"{cell:>15}" for cell in cells))
    if len(rows) > len(shown):
        printed.append(f"and {len(rows) - len(shown)} more arms in report.html")
    checked = f"{made['base']['arm']} came out as the base run did, bit for bit, on every seed"
    return [
        *printed,
        "",
        *sentences(made),
        *(f"note: {note}" for note in made["notes"]),
        f"check: {checked}",
        f"report: {folder / 'report.html'}",
    ]


def sentences(made: Mapping[str, Any]) -> list[str]:
    """One verdict per arm that uses geometry."""
    said = [arm["verdict"]["sentence"] for arm in made["arms"] if arm["verdict"]]
    return said or ["No arm uses geometry, so there is no verdict."]


def table_rows(made: Mapping[str, Any]) -> Iterator[tuple[str, list[str], str]]:
    """Name, written cells and role of each arm, then of each yardstick."""
    for arm in made["arms"]:
        if arm["mean"] is None:
            cells = ["not served"] + [""] * (len(COLUMNS) - 1)
        else:
            pairs = [(arm["mean"][s].get(k), arm["std"][s].get(k)) for _, s, k in COLUMNS]
            cells = [cell(*pair) for pair in pairs]
        yield arm["name"], cells, arm["role"]
    for name, (means, deviations) in yardsticks(made.get("bounds")).items():
        keys = ["semantic_distance_at_temperature" if s == "fitted" else k for _, s, k in COLUMNS]
        yield name, [cell(means.get(k), deviations.get(k)) for k in keys], "bound"


def yardsticks(
    bounds: Mapping[str, Any] | None,
) -> dict[str, tuple[dict[str, float], dict[str, float | None]]]:
    """Mean and deviation over seeds of mean teacher, ensemble and centralised bound."""
    if not bounds:
        return {}
    teachers = [spread([t for t in found["teachers"] if t])[0] for found in bounds.values()]
    made = {"mean teacher": spread(teachers)}
    for key, name in (("ensemble", "ensemble at test time"), ("centralised", "centralised bound")):
        made[name] = spread([found[key] for found in bounds.values()])
    return made


def cell(mean: float | None, deviation: float | None) -> str:
    """``0.466 ± .006``; a dash for what is not there."""
    if mean is None:
        return "\N{EN DASH}"
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ±{deviation:.3f}"
