"""Yardsticks as a table: ``results.csv``, and lines for a terminal."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulations.sweeping.files import interval

COLUMNS = (
    ("accuracy", "raw", "accuracy"),
    ("macro-F1", "raw", "macro_f1"),
    ("SD", "raw", "semantic_distance"),
    ("SD at T", "fitted", "semantic_distance"),
    ("ECE", "raw", "ece"),
)
"""What a person sees: title, state and key of each column."""

_COSTS = (("bytes down", "bytes_down_per_client"), ("bytes up", "bytes_up_per_client"))


def results_csv(made: Mapping[str, Any]) -> str:
    """One line per yardstick, seed and metric: raw, and at the temperature fitted for likelihood.

    Metrics that belong to a temperature have no value at the fitted one; nor do bytes per
    client and seconds, which stand among the metrics.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["experiment", "seed", "yardstick", "crosses", "metric", "raw", "fitted"]
    table.writerow(head)
    for yardstick in made["yardsticks"]:
        for seed, found in yardstick["per_seed"].items():
            about = [made["experiment"], seed, yardstick["name"], yardstick["crosses"]]
            table.writerows([*about, *figures] for figures in _figures(found))
    return text.getvalue()


def _figures(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for metric, raw in found["raw"].items():
        if raw is not None:
            yield metric, raw, found["fitted"].get(metric, "")
    for cost, number in (found["traffic"] or {}).items():
        if cost.endswith("_per_client"):
            yield cost, number, ""
    yield "seconds", found["seconds"], ""


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: a table over seeds, what crosses, and where the rest is."""
    shown = made["yardsticks"]
    names = _names(shown)
    wide = max(24, *map(len, names))
    seeds = ", ".join(map(str, made["seeds"]))
    titles = "".join(f"{title:>15}" for title, _, _ in COLUMNS)
    costs = "".join(f"{title:>12}" for title, _ in _COSTS)
    printed = [
        f"{made['experiment']}: yardsticks on the same data, split and test rows; seeds {seeds}",
        "",
        f"{'mean ± 95 % over seeds':{wide}}{titles}{costs}{'seconds':>9}  crosses",
    ]
    for name, found in zip(names, shown, strict=True):
        cells = "".join(f"{interval(found[s].get(k)):>15}" for _, s, k in COLUMNS)
        printed.append(f"{name:{wide}}{cells}{_cost(found['cost'])}  {found['crosses']}")
    return [*printed, "", *_notes(shown), f"results: {folder / 'results.csv'}"]


def _formula(yardstick: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = yardstick["cost"].get("formula_bytes_per_client")
    return found


def _race(name: str, yardstick: Mapping[str, Any]) -> str:
    """What a federation has sent when it is first as accurate as the run's student."""
    first = [found["as_accurate_as_ours"] for found in yardstick["per_seed"].values()]
    when = ", ".join("never" if f is None else str(f["round"]) for f in first)
    sent = ", ".join(f"{f['bytes_per_client']:,.0f}" for f in first if f is not None)
    formula = _formula(yardstick) or {"mean": 0.0}
    return (
        f"{name}: as accurate as fedknot on the public slice after round {when}"
        f"{f' ({sent} bytes down and up)' if sent else ''}; "
        f"2 x 4 x parameters x rounds is {formula['mean']:,.0f} bytes"
    )


def _names(shown: list[Mapping[str, Any]]) -> list[str]:
    """The kind alone where no other has it."""
    kinds = [found["settings"]["kind"] for found in shown]
    return [
        kind if kinds.count(kind) == 1 else found["name"]
        for kind, found in zip(kinds, shown, strict=True)
    ]


def _cost(cost: Mapping[str, Any]) -> str:
    numbers = [cost.get(key) for _, key in _COSTS]
    cells = [f"{n['mean']:,.0f}" if n else "\N{EN DASH}" for n in numbers]
    return "".join(f"{cell:>12}" for cell in cells) + f"{cost['seconds']['mean']:9.1f}"


def _notes(shown: list[Mapping[str, Any]]) -> list[str]:
    crossing = [name for name, y in zip(_names(shown), shown, strict=True) if y["parameters_cross"]]
    told = f"yes, of {', '.join(crossing)}" if crossing else "no"
    return [
        f"parameters cross: {told}; a fedknot run never sends any",
        *(_race(name, y) for name, y in zip(_names(shown), shown, strict=True) if _formula(y)),
        "bytes: per client, all rounds, model arrays as serialised (of fedknot: payloads); "
        "seconds of fedknot: the whole run",
        "Nothing was selected on these figures: they are of test rows, opened once.",
    ]
