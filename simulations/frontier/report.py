"""The picture as one page: ``report.html``, a pure function of ``frontier.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulations.frontier import figures
from simulations.frontier.files import HEAD, READING, rows
from simulations.reporting.figures import svg
from simulations.reporting.page import template


def build_frontier_report(made: Mapping[str, Any]) -> str:
    """The page as one HTML string; self-contained, and the same figures give the same bytes."""
    points, own = made["points"], made["bits"]
    drawn = any(point["use"] for point in points)
    page: str = template(Path(__file__).parent).render(
        made=made,
        head=HEAD,
        rows=rows(made),
        reading=READING,
        plane=svg(
            figures.plane(points, own), "Accuracy against the strongest attack: bits and epsilon"
        )
        if drawn
        else None,
        panels=svg(figures.panels(points, own), "Every measure along epsilon and along bits"),
        maps=[svg(figure, about) for figure, about in figures.maps(points)],
    )
    return page
