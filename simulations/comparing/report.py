"""A comparison as one page: ``report.html``, self-contained, a pure function of the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from markupsafe import Markup

from common.files import write_text
from simulations.comparing import figures as compare_figures
from simulations.comparing.evidence import MEASURES
from simulations.comparing.files import COLUMNS, NOTHING_SELECTED, cell, sentences, table_rows
from simulations.reporting.figures import svg
from simulations.reporting.page import template

_TITLES = {
    "raw": "distance, raw",
    "fitted": "distance, T for likelihood",
    "sharpened": "distance, T for distance",
    "accuracy": "accuracy",
}


def write_compare_report(folder: Path, made: Mapping[str, Any]) -> None:
    """Write ``report.html`` of a comparison, atomically; ``made`` is its ``compare.json``."""
    write_text(folder / "report.html", build_compare_report(made))


def build_compare_report(made: Mapping[str, Any]) -> str:
    """The page as one HTML string; the same figures give the same bytes."""
    arms = made["arms"]
    page: str = template(Path(__file__).parent).render(
        made=made,
        nothing_selected=NOTHING_SELECTED,
        sentences=sentences(made),
        titles=[title for title, _, _ in COLUMNS],
        rows=list(table_rows(made)),
        refused=[(arm["name"], arm["refused"]) for arm in arms if arm["refused"]],
        temperatures=[_temperatures(arm) for arm in arms if arm["mean"]],
        overview=svg(compare_figures.distances(arms), "Semantic distance of every arm"),
        duels=[_duel(arm) for arm in arms if arm["differences"]],
        settings=tomli_w.dumps(made["settings"]),
    )
    return page


def _temperatures(arm: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Both temperatures of an arm, and what its distance is at each."""
    mean, deviation = arm["mean"], arm["std"]
    pairs = [
        (mean["raw"]["temperature"], deviation["raw"]["temperature"]),
        (mean["fitted"]["semantic_distance"], deviation["fitted"]["semantic_distance"]),
        (mean["raw"]["sharpening_temperature"], deviation["raw"]["sharpening_temperature"]),
        (mean["sharpened"]["semantic_distance"], deviation["sharpened"]["semantic_distance"]),
    ]
    return arm["name"], [cell(*pair) for pair in pairs]


def _duel(arm: Mapping[str, Any]) -> dict[str, Any]:
    """One arm against its controls: a picture, and the table behind it."""
    found = {(d["control"], d["measure"]): d for d in arm["differences"]}
    controls = dict.fromkeys(control for control, _ in found)
    picture: Markup = svg(
        compare_figures.against_controls(arm["differences"]), f"{arm['name']} against its controls"
    )
    return {
        "name": arm["name"],
        "picture": picture,
        "verdict": arm["verdict"],
        "titles": [_TITLES[m] for m in MEASURES],
        "rows": [
            (control, arm["controls"][control], [_written(found[control, m]) for m in MEASURES])
            for control in controls
        ],
    }


def _written(found: Mapping[str, Any]) -> tuple[str, bool]:
    """A difference with its interval, and whether that leaves out zero."""
    if found["low"] is None:
        return f"{found['mean']:+.3f}", False
    width = (found["high"] - found["low"]) / 2
    return f"{found['mean']:+.3f} ±{width:.3f}", found["low"] > 0 or found["high"] < 0
