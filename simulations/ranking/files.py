"""A league as tables: ``results.csv``, ``results.md``, and lines for a terminal."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    ("accuracy", "raw", "accuracy"),
    ("macro-F1", "raw", "macro_f1"),
    ("SD", "raw", "semantic_distance"),
    ("SD at T", "fitted", "semantic_distance"),
    ("ECE", "raw", "ece"),
)
"""What a person sees: title, state and key."""

_KILO = 1000


def results_csv(made: Mapping[str, Any]) -> str:
    """One line per setting, arm, seed and metric: raw, and at both fitted temperatures."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["stage", "setting", "arm", "seed", "metric", "raw", "fitted", "sharpened"])
    for setting in made["settings"]:
        for arm in setting["arms"]:
            for seed, row in arm["per_seed"].items():
                head = [made["stage"], setting["name"], arm["name"], seed]
                for metric, raw in row["raw"].items():
                    if raw is not None:
                        at = [row[state].get(metric, "") for state in ("fitted", "sharpened")]
                        table.writerow([*head, metric, raw, *at])
                for cost in ("bytes", "seconds"):
                    if row[cost] is not None:
                        table.writerow([*head, cost, row[cost], "", ""])
    return text.getvalue()


def results_md(made: Mapping[str, Any]) -> str:
    """Two tables for each setting: what every arm reached, and differences within a seed."""
    blocks = [
        f"Graded on {made['graded_on']} rows. Mean ± a / b over seeds: a is half of the 95 % "
        "t-interval of an arm alone, b the same for all arms of a table together (Bonferroni). "
        "Differences are taken within a seed; their intervals are corrected by Holm over the "
        "whole table, and a star stands where one leaves out zero."
    ]
    for setting in made["settings"]:
        blocks.append(f"### {setting['title']}")
        if setting["skipped"]:
            blocks.append(f"Not run: {setting['skipped']}")
        if not setting["arms"]:
            blocks.append("Not run.")
            continue
        blocks.append(_table([FIGURES, *map(figures, setting["arms"])]))
        if len(held := held_against(made, setting)) > 1:
            blocks.append(_table(held))
        blocks += [f"Refused, {name}: {why}" for name, why in setting["refused"].items()]
    return "\n\n".join(blocks) + "\n"


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: a table for each setting, and where the rest is."""
    printed = [f"{made['league']}, graded on {made['graded_on']} rows"]
    for setting in made["settings"]:
        printed += ["", setting["title"]]
        if setting["skipped"]:
            printed.append(f"  not run: {setting['skipped']}")
        titles = "".join(f"{title:>22}" for title, _, _ in COLUMNS)
        if setting["arms"]:
            printed.append(f"{'mean ± 95 % alone / of all':40}{titles}")
        for arm in setting["arms"]:
            cells = "".join(f"{_cell(arm, *column[1:]):>22}" for column in COLUMNS)
            printed.append(f"{arm['title'][:39]:40}{cells}")
    return [*printed, "", f"report: {folder / 'report.html'}"]


FIGURES = ("arm", "seeds", *(title for title, _, _ in COLUMNS), "kB per client", "seconds")
"""Titles of :func:`figures`."""


def figures(arm: Mapping[str, Any]) -> list[str]:
    """What one arm reached and took, beneath the titles :data:`FIGURES`."""
    size = arm["cost"].get("bytes", {}).get("mean")
    took = arm["cost"].get("seconds", {}).get("mean")
    return [
        arm["title"],
        str(len(arm["seeds"])),
        *(_cell(arm, state, key) for _, state, key in COLUMNS),
        "–" if size is None else f"{size / _KILO:.1f}",  # noqa: RUF001
        "–" if took is None else f"{took:.1f}",  # noqa: RUF001
    ]


def held_against(made: Mapping[str, Any], setting: Mapping[str, Any]) -> list[list[str]]:
    """Differences to the references within a seed: a row of titles, then one for each arm."""
    titles = {arm["name"]: arm["title"] for arm in setting["arms"]}
    there = [name for name in made["references"] if name in titles]
    measures = (("accuracy", "accuracy"), ("distance", "SD"), ("distance_fitted", "SD at T"))
    heads = [f"{told} − {titles[name]}" for name in there for _, told in measures]  # noqa: RUF001
    rows = [["arm", *heads, "gap closed: accuracy, SD"]]
    for arm in setting["arms"]:
        found = {(d["reference"], d["measure"]): d for d in arm["differences"]}
        if found:
            cells = [_change(found.get((n, m))) for n in there for m, _ in measures]
            rows.append([arm["title"], *cells, _closed(arm["gap_closed"])])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The first row are titles."""
    titles, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([titles, "|---|" + "---:|" * (len(rows[0]) - 1), *rest])


def _cell(arm: Mapping[str, Any], state: str, key: str) -> str:
    found = arm[state].get(key)
    if found is None:
        return "–"  # noqa: RUF001
    if found["half"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ± {found['half']:.3f} / {found['half_corrected']:.3f}"


def _change(found: Mapping[str, Any] | None) -> str:
    """A star where the interval leaves out zero."""
    if found is None:
        return "–"  # noqa: RUF001
    if found["low"] is None:
        return f"{found['mean']:+.3f}"
    star = "*" if found["low"] > 0 or found["high"] < 0 else ""
    return f"{found['mean']:+.3f} ± {found['mean'] - found['low']:.3f}{star}"


def _closed(gaps: Mapping[str, float] | None) -> str:
    if not gaps:
        return "–"  # noqa: RUF001
    told = [gaps.get(key) for key in ("accuracy", "distance")]
    return ", ".join("–" if share is None else f"{100 * share:.0f} %" for share in told)  # noqa: RUF001
