"""A sweep as one page: ``report.html``, self-contained, a pure function of ``sweep.json``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from common.files import write_text
from simulations.reporting.figures import svg
from simulations.reporting.page import template
from simulations.sweeping import figures
from simulations.sweeping.figures import MOST_LINES, Axis, axes_of
from simulations.sweeping.files import COLUMNS, notes, table_rows

_PICTURES = (
    ("Accuracy", (("raw", "accuracy", "accuracy"),)),
    ("Macro-F1", (("raw", "macro_f1", "macro-F1"),)),
    (
        "Semantic distance",
        (
            ("raw", "semantic_distance", "semantic distance, raw"),
            ("fitted", "semantic_distance", "at the temperature fitted for likelihood"),
        ),
    ),
    (
        "Calibration error",
        (("raw", "ece", "ECE, raw"), ("fitted", "ece", "at the temperature fitted for likelihood")),
    ),
)


def write_sweep_report(folder: Path, made: Mapping[str, Any]) -> None:
    """Write ``report.html`` of a sweep, atomically; ``made`` is its ``sweep.json``."""
    write_text(folder / "report.html", build_sweep_report(made))


def build_sweep_report(made: Mapping[str, Any]) -> str:
    """The page as one HTML string; the same figures give the same bytes."""
    axes = axes_of(made)
    page: str = template(Path(__file__).parent).render(
        made=made,
        notes=notes(made),
        titles=[title for title, _, _ in COLUMNS],
        rows=list(table_rows(made)),
        failed=[cell for cell in made["cells"] if cell["status"] != "complete"],
        sections=_sections(made, axes) if any(s["complete"] for s in made["settings"]) else [],
        crowded=any(len(_lines(made, axes, axis)) > MOST_LINES for axis in _drawn_on(axes)),
        most=MOST_LINES,
    )
    return page


def _sections(made: Mapping[str, Any], axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Heading and pictures of each metric; none where nothing is varied."""
    if not axes:
        return []
    lines = {axis.place: _lines(made, axes, axis) for axis in _drawn_on(axes)}
    few = {place: dict(list(found.items())[:MOST_LINES]) for place, found in lines.items()}
    return [
        {
            "heading": heading,
            "lines": [_drawn(axis, few[axis.place], panels, heading) for axis in _drawn_on(axes)],
            "grids": _grids(made, axes, panels),
        }
        for heading, panels in _PICTURES
    ]


def _drawn_on(axes: Sequence[Axis]) -> list[Axis]:
    """What metrics are drawn against: all that is a scale; the first key where nothing is."""
    return [axis for axis in axes if axis.numbers] or list(axes[:1])


def _drawn(
    axis: Axis,
    lines: Mapping[str, Sequence[Mapping[str, Any]]],
    panels: Sequence[tuple[str, str, str]],
    heading: str,
) -> Markup:
    figure = figures.against(axis, lines, panels)
    return svg(figure, f"{heading} against {axis.title}, with 95 % intervals over seeds")


def _lines(
    made: Mapping[str, Any], axes: Sequence[Axis], across: Axis
) -> dict[str, list[Mapping[str, Any]]]:
    """Settings by what they have in common beside the key that is drawn from left to right."""
    made_of: dict[str, list[Mapping[str, Any]]] = {}
    others = [axis for axis in axes if axis is not across]
    for setting in made["settings"]:
        told = [f"{axis.title} {axis.labels[_at(axis, setting)]}" for axis in others]
        made_of.setdefault(", ".join(told), []).append(setting)
    return made_of


def _at(axis: Axis, setting: Mapping[str, Any]) -> int:
    return axis.names.index(setting["values"][axis.place])


def _grids(
    made: Mapping[str, Any], axes: Sequence[Axis], panels: Sequence[tuple[str, str, str]]
) -> list[Markup]:
    """Heat maps, where two keys are varied."""
    if len(axes) != 2:
        return []
    columns, rows = axes
    return [svg(*drawn) for panel in panels if (drawn := _grid(made, rows, columns, panel))]


def _grid(
    made: Mapping[str, Any], rows: Axis, columns: Axis, panel: tuple[str, str, str]
) -> tuple[Any, str] | None:
    state, metric, title = panel
    found = {
        (s["values"][rows.place], s["values"][columns.place]): s[state].get(metric, {}).get("mean")
        for s in made["settings"]
    }
    means = [[found.get((row, column)) for column in columns.names] for row in rows.names]
    if all(mean is None for row in means for mean in row):
        return None
    figure = figures.grid(rows, columns, means, title)
    return figure, f"Heat map: {title}, mean over seeds, by {rows.title} and {columns.title}"
