"""A sweep as tables: three CSV files, ``results.parquet``, and lines for a terminal."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simulations.sweeping.table import STATES

COLUMNS = (
    ("accuracy", "raw", "accuracy"),
    ("macro-F1", "raw", "macro_f1"),
    ("SD", "raw", "semantic_distance"),
    ("SD at T", "fitted", "semantic_distance"),
    ("ECE", "raw", "ece"),
    ("ECE at T", "fitted", "ece"),
)
"""What a person sees: title, state and key of each column."""

NO_PARQUET = "results.parquet was not written: pyarrow is not installed"
_MOST_ROWS = 18


def results_csv(made: Mapping[str, Any]) -> str:
    """One line per complete cell and metric: raw, and at the temperature fitted for likelihood.

    Metrics that belong to a temperature have no value at the fitted one.
    """
    rows = [
        [made["experiment"], cell["seed"], *cell["values"], metric, raw, _at(cell, metric)]
        for cell in _complete(made)
        for metric, raw in cell["raw"].items()
        if raw is not None
    ]
    return _csv(["experiment", "seed", *made["vary"], "metric", "raw", "fitted"], rows)


def means_csv(made: Mapping[str, Any]) -> str:
    """One line per setting and metric: n seeds, mean, deviation, 95 % interval; raw and fitted."""
    parts = ("mean", "std", "low", "high")
    head = [f"{state}_{part}" for state in STATES for part in parts]
    rows = []
    for setting in made["settings"]:
        for metric, raw in setting["raw"].items():
            fitted = setting["fitted"].get(metric, {})
            numbers = [found.get(part) for found in (raw, fitted) for part in parts]
            rows.append([made["experiment"], *setting["values"], metric, raw["n"], *numbers])
    return _csv(["experiment", *made["vary"], "metric", "n", *head], rows)


def cells_csv(made: Mapping[str, Any]) -> str:
    """One line per cell: how it ended, and where its run folder is."""
    rows = [
        [cell["seed"], *cell["values"], cell["status"], cell["exit_code"], cell["reason"],
         f"cells/{cell['name']}"]
        for cell in made["cells"]
    ]  # fmt: skip
    return _csv(["seed", *made["vary"], "status", "exit_code", "reason", "folder"], rows)


def write_parquet(folder: Path) -> None:
    """``results.csv`` as ``results.parquet``, where pyarrow is installed."""
    if find_spec("pyarrow") is None:
        return
    import pandas as pd

    pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""]).to_parquet(
        folder / "results.parquet", index=False
    )


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: a table over seeds, notes, and where the report is."""
    seeds = ", ".join(map(str, made["seeds"]))
    shown = list(table_rows(made))
    wide = max(24, *(len(name) for name, _ in shown[:_MOST_ROWS]))
    head = f"{made['experiment']}: {len(made['settings'])} settings; seeds {seeds}"
    titles = "".join(f"{title:>15}" for title, _, _ in COLUMNS)
    printed = [head, "", f"{'mean ± 95 % over seeds':{wide}}{titles}"]
    for name, numbers in shown[:_MOST_ROWS]:
        printed.append(f"{name:{wide}}" + "".join(f"{number:>15}" for number in numbers))
    if len(shown) > _MOST_ROWS:
        printed.append(f"and {len(shown) - _MOST_ROWS} more settings in report.html")
    return [
        *printed,
        "",
        *(f"note: {note}" for note in notes(made)),
        f"report: {folder / 'report.html'}",
    ]


def notes(made: Mapping[str, Any]) -> list[str]:
    """What a person should know beside the figures."""
    return [*made["notes"], *([] if find_spec("pyarrow") else [NO_PARQUET])]


def table_rows(made: Mapping[str, Any]) -> Iterable[tuple[str, list[str]]]:
    """Name and written figures of each setting; how many seeds failed stands in the name."""
    for setting in made["settings"]:
        missing = setting["of"] - setting["complete"]
        failed = f" ({missing} of {setting['of']} failed)" if missing else ""
        name = setting_name(made, setting["values"])
        yield name + failed, [interval(setting[s].get(k)) for _, s, k in COLUMNS]


def setting_name(made: Mapping[str, Any], values: Sequence[str]) -> str:
    """``num_clients 4, loss kl``."""
    named = zip(made["titles"], values, strict=True)
    return ", ".join(f"{title} {value}" for title, value in named) or made["experiment"]


def interval(found: Mapping[str, Any] | None) -> str:
    """``0.466 ±0.006``; a dash for what is not there."""
    if not found:
        return "\N{EN DASH}"
    if found["high"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ±{found['high'] - found['mean']:.3f}"


def _complete(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [cell for cell in made["cells"] if cell["status"] == "complete"]


def _at(cell: Mapping[str, Any], metric: str) -> Any:
    return cell["fitted"].get(metric, "")


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return text.getvalue()
