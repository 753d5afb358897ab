"""The matrix as one page: ``report.html``, self-contained, a pure function of ``poison.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from markupsafe import Markup

from common.files import write_text
from simulations.poisoning.files import MEASURES, matrix, titles
from simulations.reporting.figures import svg
from simulations.reporting.page import template
from simulations.sweeping.figures import Axis, grid
from simulations.sweeping.files import interval


def write_poison_report(folder: Path, made: Mapping[str, Any]) -> None:
    """Write ``report.html``, atomically; ``made`` is its ``poison.json``."""
    write_text(folder / "report.html", build_poison_report(made))


def build_poison_report(made: Mapping[str, Any]) -> str:
    """The page as one HTML string; the same figures give the same bytes."""
    page: str = template(Path(__file__).parent).render(
        made=made,
        titles=titles(made),
        sections=[_section(made, *measure) for measure in MEASURES],
        bought=_bought(made),
        refused={c["arm"]: c["refused"] for c in made["cells"] if c["refused"]},
        settings=tomli_w.dumps(made["settings"]),
    )
    return page


def _section(made: Mapping[str, Any], title: str, state: str, key: str) -> dict[str, Any]:
    """Heat maps of one measure, one per lie, and the table behind them."""
    found = matrix(made, state, key)
    return {
        "title": title,
        "pictures": [
            drawn for poison, rows in found.items() if (drawn := _map(made, title, poison, rows))
        ],
        "rows": [
            (poison, arm, [interval(cell) for cell in cells])
            for poison, rows in found.items()
            for arm, cells in rows.items()
        ],
    }


def _map(
    made: Mapping[str, Any], title: str, poison: str, rows: Mapping[str, Any]
) -> Markup | None:
    means = [[cell and cell["mean"] for cell in cells] for cells in rows.values()]
    if all(mean is None for row in means for mean in row):
        return None
    arms = Axis(1, "rule", tuple(rows), None)
    counts = Axis(0, "clients that lie", tuple(titles(made)), None)
    return svg(grid(arms, counts, means, f"{poison}: {title}"), f"{title} under {poison}")


def _bought(made: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Lie, rule, attackers, their share of all clients, and the share of weight they got."""
    return [
        (
            cell["poison"],
            cell["arm"],
            str(cell["attackers"]),
            f"{cell['attackers'] / made['clients']:.2f}",
            f"{cell['weight']:.2f}",
        )
        for cell in made["cells"]
        if cell["weight"] is not None
    ]
