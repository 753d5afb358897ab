"""The report's picture of a dispute: who would have to move what to agree with the student.

``plans`` takes what ``pictures.json`` holds under ``diagnostics`` and returns a ``Figure``,
as in :mod:`simulations.reporting.figures`; it is laid out in inches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from simulations.reporting.drawing import (
    LETTER,
    MOST_UPRIGHT,
    REFERENCE,
    SOFT,
    STUDENT,
    STYLE,
    canvas,
    digits,
    share,
    short,
)

_WIDE, _STAYS = 8.6, "#d5dbe2"
_MOST_LABELS = 20
_DEAR = 0.8  # opacity of mass that moves as far as mass can
_WORTH_WRITING = 0.03  # less moves unnumbered

Move = tuple[int, int, float]
"""From label, to label, mass."""
Tops = Mapping[tuple[int, int], float]
"""Of each move, where the upper edge of its band lies on one side."""


@mpl.rc_context(STYLE)
def plans(
    dispute: Mapping[str, Any], cost: Sequence[Sequence[float]], labels: Sequence[str]
) -> Figure:
    """Of one sample: each teacher's prediction, the student's, and the mass between them.

    ``dispute`` is one entry of ``pictures.json``'s. Of very many labels only those that hold
    the most mass are drawn, in their order.
    """
    shown = _heaviest(dispute, len(labels))
    names = [short(labels[c]) for c in shown]
    teachers = dispute["teachers"]
    step = 0.36 if len(shown) <= MOST_UPRIGHT else 0.25
    margin = 0.2 + LETTER * max(map(len, names))
    panel = min((_WIDE - margin) / len(teachers), 2.4)
    height = 0.62 + step * len(shown)
    axes = canvas(margin + panel * len(teachers), height)
    rows = {c: height - 0.62 - step * (row + 0.5) for row, c in enumerate(shown)}
    for c, name in zip(shown, names, strict=True):
        axes.text(margin - 0.12, rows[c], name, ha="right", va="center", fontsize=9)
    thickest = max([*dispute["student"], *(p for t in teachers for p in t["probs"])])
    dearest = max(map(max, cost)) or 1.0
    for k, teacher in enumerate(teachers):
        drawn = _Panel(axes, margin + k * panel, panel, rows, 0.86 * step / thickest)
        drawn.head(teacher, height)
        drawn.bands(teacher["moves"], cost, dearest)
        drawn.bars(teacher["probs"], dispute["student"], 0.5 * step, thickest)
    return axes.figure  # type: ignore[return-value]


class _Panel:
    """One teacher: its bars on the left, the student's on the right, the plan between."""

    def __init__(
        self, axes: Axes, left: float, width: float, rows: Mapping[int, float], unit: float
    ) -> None:
        self.axes, self.rows, self.unit = axes, rows, unit
        self.longest = 0.17 * width
        number = 0.2
        self.left = left + self.longest + number
        self.right = left + 0.96 * width - self.longest - number

    def head(self, teacher: Mapping[str, Any], height: float) -> None:
        """Whose panel it is, and what is in which column."""
        middle, low = (self.left + self.right) / 2, height - 0.5
        told = f"weight {share(teacher['weight'])}, cost {digits(teacher['cost'], full=True)}"
        write, centre = self.axes.text, {"ha": "center", "va": "center"}
        write(middle, height - 0.1, f"client {teacher['client']}", None, **centre, weight="bold")
        write(middle, height - 0.29, told, None, **centre, fontsize=9)
        edge = self.left + 0.02, self.right - 0.02
        write(edge[0], low, "teacher", color=REFERENCE, fontsize=8, ha="right", va="center")
        write(edge[1], low, "student", color=STUDENT, fontsize=8, ha="left", va="center")

    def bars(self, p: Sequence[float], q: Sequence[float], thick: float, most: float) -> None:
        """Both distributions, in per cent; a bar of ``most`` is as long as there is room."""
        for c, y in self.rows.items():
            self._bar(self.left, y, -p[c] / most, thick, REFERENCE, p[c])
            self._bar(self.right, y, q[c] / most, thick, STUDENT, q[c])

    def bands(self, moves: Sequence[Move], cost: Sequence[Sequence[float]], dearest: float) -> None:
        """Mass from label to label: grey stays, orange moves, the darker the dearer."""
        seen = [(a, b, mass) for a, b, mass in moves if a in self.rows and b in self.rows]
        leaving, arriving = self._tops(seen, 0), self._tops(seen, 1)
        away = [move for move in seen if move[0] != move[1]]
        for a, b, mass in sorted(seen, key=lambda move: cost[move[0]][move[1]]):
            opacity = 1.0 if a == b else 0.3 + (_DEAR - 0.3) * cost[a][b] / dearest
            colour = _STAYS if a == b else REFERENCE
            self._band(leaving[a, b], arriving[a, b], mass, colour, opacity)
        self._masses(away, leaving, arriving)

    def _tops(self, moves: Sequence[Move], side: int) -> dict[tuple[int, int], float]:
        """Where on its label each band begins, in the order in which the other ends lie."""
        made: dict[tuple[int, int], float] = {}
        for c, y in self.rows.items():
            own = sorted((m for m in moves if m[side] == c), key=lambda m: m[1 - side])
            top = y + self.unit * sum(mass for _, _, mass in own) / 2
            for a, b, mass in own:
                made[a, b] = top
                top -= self.unit * mass
        return made

    def _bar(
        self, start: float, y: float, part: float, thick: float, colour: str, value: float
    ) -> None:
        length, sign = self.longest * part, -1 if colour == REFERENCE else 1
        place = (start, y - thick / 2)
        self._add(Rectangle(place, length, thick, facecolor=colour, linewidth=0))
        if round(100 * value):
            end, side = start + length + 0.03 * sign, "left" if sign > 0 else "right"
            written = f"{100 * value:.0f}"
            self.axes.text(end, y, written, ha=side, va="center", fontsize=8, color=SOFT)

    def _band(self, start: float, end: float, mass: float, colour: str, opacity: float) -> None:
        left, right, thick = self.left, self.right, mass * self.unit
        bend = (left + right) / 2
        corners = [
            (left, start), (bend, start), (bend, end), (right, end),
            (right, end - thick), (bend, end - thick), (bend, start - thick), (left, start - thick),
            (left, start),
        ]  # fmt: skip
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        shape = Path(corners, codes)
        self._add(PathPatch(shape, facecolor=colour, alpha=opacity, linewidth=0))

    def _add(self, patch: Patch) -> None:
        """Nothing has to be cut off or to count for limits, so less need be computed."""
        patch.set_clip_on(False)
        self.axes.add_artist(patch)

    def _masses(self, away: Sequence[Move], leaving: Tops, arriving: Tops) -> None:
        """Write the per cent that move, the largest first, where there is room.

        Near the end at which a band is alone, so that the numbers of a fan stand apart.
        """
        taken: list[tuple[float, float]] = []
        for a, b, mass in sorted(away, key=lambda move: -move[2]):
            alone = [sum(m[side] == end for m in away) == 1 for side, end in ((0, a), (1, b))]
            way = {(True, False): 0.25, (False, True): 0.75}.get((alone[0], alone[1]), 0.5)
            start, end = (top[a, b] - mass * self.unit / 2 for top in (leaving, arriving))
            x, y = _along(way, self.left, self.right), _along(way, start, end, steep=True)
            near = any(abs(x - i) < 0.2 and abs(y - j) < 0.12 for i, j in taken)
            if mass >= _WORTH_WRITING and not near:
                taken.append((x, y))
                centre = {"ha": "center", "va": "center"}
                self.axes.text(x, y, f"{100 * mass:.0f}", None, **centre, fontsize=8, weight="bold")


def _along(way: float, start: float, end: float, steep: bool = False) -> float:
    """A coordinate of the Bezier curve of a band; ``steep`` for the one that eases."""
    rest, middle = 1 - way, (start + end) / 2
    near, far = (start, end) if steep else (middle, middle)
    inner = near * 3 * rest**2 * way + far * 3 * rest * way**2
    return start * rest**3 + inner + end * way**3


def _heaviest(dispute: Mapping[str, Any], size: int) -> list[int]:
    """The labels to draw, in their order."""
    rows = [dispute["student"], *(teacher["probs"] for teacher in dispute["teachers"])]
    held = [max(row[c] for row in rows) for c in range(size)]
    return sorted(sorted(range(size), key=lambda c: -held[c])[:_MOST_LABELS])
