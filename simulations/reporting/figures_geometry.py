"""The report's pictures of a geometry: the ground cost, and labels as points near it.

Every function takes what ``pictures.json`` holds under ``diagnostics`` and returns a
``Figure``, as in :mod:`simulations.reporting.figures`; points are laid out in inches.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import floor, hypot, log10
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.reporting.drawing import (
    INK,
    LETTER,
    MOST_UPRIGHT,
    QUIET,
    SOFT,
    STUDENT,
    STYLE,
    canvas,
    digits,
    heat_map,
    is_crowded,
    name_columns,
    name_rows,
    short,
    wrapped,
)

_NARROW, _WIDE, _MOST_COSTS = 4.3, 8.6, 400
_MOST_NAMED, _OVERLAP = 20, 0.02  # of more labels, names that would hide others are left out
Box = tuple[float, float, float, float]


def fits_beside(labels: Sequence[str]) -> bool:
    """Whether two pictures of these labels go side by side on a page."""
    words = [line for name in labels for line in wrapped(name, len(labels)).split("\n")]
    return len(labels) * LETTER * max(map(len, words), default=0) <= 0.75 * _NARROW


@mpl.rc_context(STYLE)
def cost_map(cost: Sequence[Sequence[float]], labels: Sequence[str]) -> Figure:
    """The ground cost as a heat map, (C, C)."""
    beside, size = fits_beside(labels), len(labels)
    side = min(max(2.6, 1.1 + 0.5 * size), 6.5)
    figure = Figure((_NARROW if beside else _WIDE, side), layout="constrained")
    axes = figure.subplots()
    letters = 10 if size <= 12 else 7.5
    written = [[digits(value) for value in row] for row in cost]
    heat_map(axes, cost, written, most=_MOST_COSTS, size=letters)
    name_columns(axes, labels)
    name_rows(axes, [wrapped(name, size) for name in labels])
    axes.tick_params(labelsize=9)
    axes.set(xlabel="to label", ylabel="from label")
    if is_crowded(cost, _MOST_COSTS):
        bar = figure.colorbar(axes.collections[0], ax=axes, pad=0.015, fraction=0.03)
        bar.outline.set_visible(False)
        bar.set_label("cost")
    return figure


@mpl.rc_context(STYLE)
def plane(geometry: Mapping[str, Any], labels: Sequence[str]) -> Figure:
    """The labels as points whose distances come near the costs; stress and scale below.

    ``geometry`` holds ``points`` (C, 2), ``stress`` and whether they are on a ``line``.
    """
    width = _NARROW if fits_beside(labels) else _WIDE
    draw = _line if geometry["line"] else _scatter
    return draw(geometry, [short(name) for name in labels], width)


def _line(geometry: Mapping[str, Any], names: Sequence[str], width: float) -> Figure:
    """Labels on a line: exactly as far apart as they cost."""
    places = [point[0] for point in geometry["points"]]
    order = sorted(range(len(places)), key=lambda c: places[c])
    longest = LETTER * max(map(len, names))
    x = _spread(places, 0.55, width - 0.55)
    nearest = min(x[b] - x[a] for a, b in pairwise(order))
    upright = nearest >= 0.62 and len(names) <= MOST_UPRIGHT
    lines = max(wrapped(name, 1).count("\n") + 1 for name in names)
    axes = canvas(width, 1.0 + (0.15 + 0.15 * lines if upright else 0.3 + 0.87 * longest))
    if not upright:
        x = _spread(places, 0.3, width - 0.3 - 0.5 * longest)
    level = 0.72
    ends = (x[order[0]], x[order[-1]])
    axes.plot(ends, (level, level), color=QUIET, linewidth=1.5, zorder=1)
    axes.plot(x, [level] * len(x), "o", color=STUDENT, markersize=8, zorder=2)
    if upright:
        for c in order:
            told = (x[c], level + 0.14, wrapped(names[c], 1))
            axes.text(*told, ha="center", va="bottom", fontsize=9)
    else:
        _fan(axes, [(x[c], names[c]) for c in order], level)
    _gaps(axes, geometry["points"], x, order, level)
    _below(axes, "stress 0: the line shows the costs exactly", width)
    return axes.figure  # type: ignore[return-value]


def _fan(axes: Axes, named: Sequence[tuple[float, str]], level: float) -> None:
    """Names at an angle, moved apart until they can be read; left out where there are too many."""
    ends = _apart([x for x, _ in named])
    for (x, name), end in zip(named, ends, strict=True):
        if end is not None:
            axes.plot((x, end), (level + 0.06, level + 0.2), color=QUIET, linewidth=0.6)
            style: Any = {"rotation": 60, "rotation_mode": "anchor", "fontsize": 9}
            axes.text(end, level + 0.24, name, ha="left", va="center", **style)


def _apart(places: Sequence[float], gap: float = 0.17) -> list[float | None]:
    """Where names of these places, in order, can stand; None for names that cannot."""
    made: list[float | None] = []
    if gap * (len(places) - 1) > places[-1] - places[0]:
        last = -gap
        for place in places:
            made.append(place if place - last >= gap else None)
            last = last if made[-1] is None else place
        return made
    moved = list(places)
    for c in range(1, len(moved)):
        moved[c] = max(moved[c], moved[c - 1] + gap)
    moved[-1] = min(moved[-1], places[-1])
    for c in reversed(range(len(moved) - 1)):
        moved[c] = min(moved[c], moved[c + 1] - gap)
    return [*moved]


def _gaps(
    axes: Axes,
    points: Sequence[Sequence[float]],
    x: Sequence[float],
    order: Sequence[int],
    level: float,
) -> None:
    """What it costs to go on to the next label, where there is room to write it."""
    for a, b in pairwise(order):
        told = digits(round(points[b][0] - points[a][0], 9))
        if x[b] - x[a] >= 0.08 * len(told) + 0.1:
            place = ((x[a] + x[b]) / 2, level - 0.2, told)
            axes.text(*place, ha="center", va="center", fontsize=9, color=SOFT)


def _scatter(geometry: Mapping[str, Any], names: Sequence[str], width: float) -> Figure:
    """Labels in the plane, with a bar as long as some round cost."""
    points = geometry["points"]
    spans = [max(p[i] for p in points) - min(p[i] for p in points) for i in (0, 1)]
    room = (width - 2 * 0.9, 2.4 if width == _NARROW else 3.8)
    scale = min(room[i] / span for i, span in enumerate(spans) if span > 0)
    height = max(scale * spans[1], 0.6) + 1.25
    middle = [(max(p[i] for p in points) + min(p[i] for p in points)) / 2 for i in (0, 1)]
    centre = (width / 2, 0.75 + (height - 0.75) / 2)
    placed = [tuple(centre[i] + scale * (p[i] - middle[i]) for i in (0, 1)) for p in points]
    axes = canvas(width, height)
    axes.plot([p[0] for p in placed], [p[1] for p in placed], "o", color=STUDENT, markersize=8)
    _name_points(axes, placed, names, width)
    _ruler(axes, scale, spans, width)
    _below(axes, f"stress {geometry['stress']:.2f}: {_judged(geometry['stress'])}", width)
    return axes.figure  # type: ignore[return-value]


def _judged(stress: float) -> str:
    """Where Kruskal, 1964, calls a picture perfect, fair and poor."""
    if stress < 0.005:
        return "distances are the costs"
    if stress < 0.1:
        return "distances are near the costs"
    return "distances are roughly the costs" if stress < 0.2 else "trust the matrix, not this"


def _name_points(
    axes: Axes, placed: Sequence[tuple[float, ...]], names: Sequence[str], width: float
) -> None:
    """Each name beside its point, on the side where it hides least, if that is little."""
    taken = [(x - 0.06, y - 0.06, x + 0.06, y + 0.06) for x, y in placed]
    for (x, y), name in zip(placed, names, strict=True):
        long = LETTER * len(name)
        choices = {
            (x + 0.1, y, "left", "center"): (x + 0.09, y - 0.08, x + 0.1 + long, y + 0.08),
            (x - 0.1, y, "right", "center"): (x - 0.1 - long, y - 0.08, x - 0.09, y + 0.08),
            (x, y + 0.1, "center", "bottom"): (x - long / 2, y + 0.09, x + long / 2, y + 0.25),
            (x, y - 0.1, "center", "top"): (x - long / 2, y - 0.25, x + long / 2, y - 0.09),
        }
        best = min(choices, key=lambda c: _hidden(choices[c], taken, width))
        if len(names) <= _MOST_NAMED or _hidden(choices[best], taken, width) < _OVERLAP:
            taken.append(choices[best])
            axes.text(best[0], best[1], name, ha=best[2], va=best[3], fontsize=9)


def _hidden(box: Box, taken: Sequence[Box], width: float) -> float:
    """The area of ``taken`` under ``box``, and what of it leaves the page."""
    outside = max(0.0, -box[0]) + max(0.0, box[2] - width)
    return outside + sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )


def _ruler(axes: Axes, scale: float, spans: Sequence[float], width: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the picture long."""
    most = hypot(*spans) / 3
    power = 10.0 ** floor(log10(most))
    cost = max(step for step in (1, 2, 5) if step * power <= most) * power
    left, right = width / 2 - scale * cost / 2, width / 2 + scale * cost / 2
    axes.plot((left, left, right, right), (0.46, 0.42, 0.42, 0.46), color=QUIET, linewidth=1)
    axes.text(right + 0.08, 0.43, f"cost {digits(cost)}", fontsize=9, color=SOFT, va="center")


def _below(axes: Axes, told: str, width: float) -> None:
    axes.text(width / 2, 0.14, told, ha="center", va="center", fontsize=9, color=INK)


def _spread(places: Sequence[float], left: float, right: float) -> list[float]:
    """Places on a line, stretched to go from ``left`` to ``right``."""
    low, span = min(places), (max(places) - min(places)) or 1.0
    return [left + (right - left) * (place - low) / span for place in places]
