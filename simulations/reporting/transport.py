"""What the report shows of transport: the ground cost, its points, and the disputes."""

from collections.abc import Mapping
from typing import Any

from simulations.reporting import figures_geometry, figures_transport
from simulations.reporting.drawing import digits, share
from simulations.reporting.figures import svg


def drawn(pictures: Mapping[str, Any]) -> dict[str, Any] | None:
    """The pictures and words of ``pictures.json``'s ``diagnostics``; None where it has none.

    Returns:
        ``told`` (what was found), ``beside`` (whether pictures go side by side), ``maps`` and
        ``planes`` (SVG of the used geometry and, if it is another, of the data set's own),
        ``disputes`` (a text, words and SVG for each).
    """
    told, labels = pictures.get("diagnostics"), pictures.get("labels") or []
    if not told:
        return None
    shown = [told[name] for name in ("used", "given") if told.get(name)]
    whose = ("the student's training", "the data set")
    return {
        "told": told,
        "beside": figures_geometry.fits_beside(labels),
        "maps": [
            svg(
                figures_geometry.cost_map(one["cost"], labels),
                f"Heat map: ground cost between labels, of {name}",
            )
            for one, name in zip(shown, whose, strict=False)
        ],
        "planes": [
            svg(
                figures_geometry.plane(one, labels),
                f"Labels as points whose distances come near the costs, of {name}",
            )
            for one, name in zip(shown, whose, strict=False)
        ],
        "disputes": [_dispute(one, told["used"]["cost"], labels) for one in told["disputes"]],
    }


def _dispute(found: Mapping[str, Any], cost: list[list[float]], labels: list[str]) -> Any:
    """One sample's text and words, and its picture, whose title says the numbers."""
    teachers = found["teachers"]
    said = [
        f"client {t['client']}, weight {share(t['weight'])}, cost {digits(t['cost'], full=True)}"
        for t in teachers
    ]
    title = f"Transport plans on transfer text {found['row']}, teacher to student: "
    return {
        "text": found["text"],
        "row": found["row"],
        "cost": digits(found["cost"], full=True),
        "shown": len(teachers),
        "of": found["num_teachers"],
        "weight": share(sum(teacher["weight"] for teacher in teachers)),
        "picture": svg(figures_transport.plans(found, cost, labels), title + "; ".join(said)),
    }
