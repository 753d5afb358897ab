"""Several run folders on one page, side by side: figures, curves over rounds, clients.

The page is a pure function of the folders' files and their names, like that of one run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.failures import ConfigError
from simulations.identity import leaves
from simulations.reporting import rows as report_rows
from simulations.reporting.drawing import COLOURS, FAINT, STYLE
from simulations.reporting.figures import svg
from simulations.reporting.page import template
from simulations.reporting.report import Run, read_run

_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))
_MOST_CLIENTS = 40
_DASH = "\N{EN DASH}"
_CURVES = (
    ("loss", "loss while distilling"),
    ("accuracy", "accuracy, validation"),
    ("semantic_distance", "semantic distance, validation"),
)


def build_side_by_side(folders: Sequence[Path]) -> str:
    """The page as one HTML string; nothing is written.

    Raises:
        ConfigError: a folder is named twice.
        FolderError: one is no run folder, or a file of it is damaged.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("a run folder is named twice; name each once")
    runs = [read_run(folder) for folder in folders]
    page: str = template(
        Path(__file__).parent,
        "beside.html",
        {"size": report_rows.size, "seconds": report_rows.seconds, "number": report_rows.number},
    ).render(
        runs=list(zip(_names(folders), runs, strict=True)),
        metrics=report_rows.student_sections([run.summary for run in runs]),
        settings=_settings(runs),
        curves=_curves(runs),
        clients=_clients(runs),
        counts=[_counts(run) for run in runs],
    )
    return page


@mpl.rc_context(STYLE)
def curves(rounds: Sequence[Sequence[Mapping[str, Any]]]) -> Figure:
    """The lines of every run's ``rounds.jsonl`` over rounds: one panel each, one line a run."""
    figure = Figure((10.2, 3.2 + 0.2 * (1 + (len(rounds) - 1) // 8)), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(_CURVES)), _CURVES, strict=True):
        for number, lines in enumerate(rounds):
            found = [(line["round"], value) for line in lines if (value := _at(line, key))]
            style: Any = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": _DASHES[number // len(COLOURS) % len(_DASHES)],
                "label": f"run {number + 1}",
            }
            axes.plot(*zip(*found, strict=True) if found else ([], []), marker="o", ms=4, **style)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=9, loc="outside lower left", ncols=8)
    return figure


def _curves(runs: Sequence[Run]) -> Markup | None:
    if not any(run.rounds for run in runs):
        return None
    return svg(curves([run.rounds for run in runs]), "Loss, accuracy and distance over rounds")


def _at(line: Mapping[str, Any], key: str) -> float | None:
    found = line.get(key, (line.get("student") or {}).get(key))
    return None if found is None else float(found)


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, or their paths where those are the same."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _settings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Every setting in which the experiments differ."""
    tables = [leaves(run.settings) for run in runs]
    keys = sorted({key for table in tables for key in table})
    found = [(key, [str(table.get(key, _DASH)) for table in tables]) for key in keys]
    return [(key, values) for key, values in found if len(set(values)) > 1]


def _clients(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Status of each client in each run; of many, only of those that were missing somewhere."""
    tables = [{row["client"]: _status(row) for row in run.clients} for run in runs]
    names = sorted({name for table in tables for name in table}, key=int)
    found = [(name, [table.get(name, _DASH) for table in tables]) for name in names]
    if len(found) <= _MOST_CLIENTS:
        return found
    return [(name, told) for name, told in found if set(told) - {"answered", _DASH}]


def _status(row: Mapping[str, str]) -> str:
    told = row["status"]
    return told if told == "answered" else f"{told}: {row['reason']}"


def _counts(run: Run) -> str:
    counts = run.summary.get("clients") or {}
    kinds = ("answered", "lost", "quarantined")
    return ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts.get(kind)) or _DASH
