"""What is left of a finished cell: its figures, or all of it."""

import shutil
from pathlib import Path

from simulations.identity import PRIVATE

KEPT = frozenset(
    {
        "experiment.toml",
        "summary.json",
        "figures.json",
        "rounds.jsonl",
        "clients.csv",
        "environment.json",
        "pictures.json",
        "privacy.json",
        "report.html",
        "terms.json",
        "checkpoint",
        "logs",
    }
)
"""Some 300 kB a cell, mostly the report. What goes are private stores, texts, releases, student."""

_OF_CHECKPOINT = frozenset({"call.json", PRIVATE.name})


def prune(folder: Path) -> None:
    """Remove what a table of figures does not need from a finished run folder.

    The stores go first: what is private does not outlive its use.
    """
    for path in sorted(folder.iterdir()):
        if path.name not in KEPT:
            _remove(path)
    for path in (folder / "checkpoint").iterdir():
        if path.name not in _OF_CHECKPOINT:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
