"""The pictures of a league: every arm's accuracy and distance, and accuracy against bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.ranking.standing import Arm, Standing, mean, ranked, spread
from simulations.reporting.drawing import COLOURS, FAINT, INK, QUIET, REFERENCE, STUDENT, STYLE

_PANELS = (
    ("accuracy", "accuracy (further right is better)"),
    ("distance", "semantic distance (further left is better)"),
)
_LOOKS: Mapping[str, Any] = {
    "best": {"marker": "D", "color": STUDENT, "markersize": 8},
    "tied": {"marker": "o", "color": STUDENT, "markersize": 6},
    "worse": {"marker": "o", "color": QUIET, "markersize": 6, "markerfacecolor": "white"},
    "yardstick": {"marker": "s", "color": REFERENCE, "markersize": 6},
}
_TOLD = {
    "best": "the best mean",
    "tied": "may be the best as well",
    "worse": "clearly not the best",
    "yardstick": "yardstick: something else than predictions crosses",
}
_DASHES: Any = ((0, (1, 2)), (0, (5, 3)), (0, (4, 2, 1, 2)))
_BOUND_COLOURS = (COLOURS[2], INK, COLOURS[3])
_NAME_WIDTH, _KILO, _SAME = 40, 1000, 1.02


@dataclass(frozen=True)
class Cast:
    """Who is drawn.

    Attributes:
        rows: those with a mark of their own, in the order of their numbers, from 1.
        bounds: those with a line.
        standings: of accuracy and distance.
    """

    rows: tuple[Arm, ...]
    bounds: tuple[Arm, ...]
    standings: Mapping[str, Standing | None]


def cast(
    setting: Mapping[str, Any],
    references: Sequence[str],
    standings: Mapping[str, Standing | None],
) -> Cast:
    """Raters and references become lines; all but raters and yardsticks among them also rows."""
    arms = setting["arms"]
    lines = [arm for arm in arms if arm["role"] == "human" or arm["name"] in references]
    rows = [arm for arm in arms if arm["role"] == "own" or arm not in lines]
    return Cast(tuple(ranked(rows, "accuracy")), tuple(lines), standings)


@mpl.rc_context(STYLE)
def ladder(drawn: Cast) -> Figure:
    """Accuracy and semantic distance of every arm, the most accurate on top."""
    figure = Figure((11.4, 1.9 + 0.34 * len(drawn.rows)))
    figure.set_layout_engine("constrained")
    beside = figure.subplots(1, 2, sharey=True)
    for axes, (measure, title) in zip(beside, _PANELS, strict=True):
        for row, arm in enumerate(drawn.rows):
            axes.axhline(row, color=FAINT, linewidth=0.8, zorder=0)
            _mark(axes, arm, measure, _look(drawn, arm, measure), (row, False))
        _bounds(axes, drawn.bounds, measure, upright=True)
        axes.set_xlabel(title)
        axes.tick_params(axis="y", length=0)
    names = [fill(f"{n}. {arm['title']}", _NAME_WIDTH) for n, arm in enumerate(drawn.rows, start=1)]
    beside[0].set_yticks(range(len(names)), names, fontsize=9)
    beside[0].set_ylim(len(names) - 0.5, -0.5)
    _legend(figure, {_look(drawn, arm, m) for arm in drawn.rows for m, _ in _PANELS})
    return figure


@mpl.rc_context(STYLE)
def price(drawn: Cast) -> Figure | None:
    """Accuracy against kilobytes per client, up and down; None where nobody counted any."""
    columns = _columns(drawn.rows)
    if not columns:
        return None
    figure = Figure((11.4, 4.4))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    place, ticks = 0.0, []
    for size, members in columns:
        for step, number in enumerate(members):
            arm = drawn.rows[number]
            look = _look(drawn, arm, "accuracy")
            top = _mark(axes, arm, "accuracy", look, (place + step, True))
            axes.annotate(
                str(number + 1), (place + step, top), (0, 3), textcoords="offset points",
                ha="center", va="bottom", fontsize=8.5,
            )  # fmt: skip
        ticks.append((place + (len(members) - 1) / 2, f"{size / _KILO:,.1f}"))
        place += len(members) + 1
        axes.axvline(place - 1, color=FAINT, linewidth=1)
    axes.set_xticks([at for at, _ in ticks], [told for _, told in ticks])
    axes.set_xlim(-1, place - 1)
    _bounds(axes, drawn.bounds, "accuracy", upright=False)
    axes.set_xlabel("kB per client, up and down, all rounds (columns, not to scale)")
    axes.set_ylabel("accuracy")
    _legend(figure, {_look(drawn, drawn.rows[n], "accuracy") for _, ns in columns for n in ns})
    return figure


def _look(drawn: Cast, arm: Arm, measure: str) -> str:
    found = drawn.standings[measure]
    if arm["role"] != "own" or found is None:
        return "yardstick"
    if arm["name"] == found.best["name"]:
        return "best"
    return "tied" if found.has(arm) else "worse"


def _mark(axes: Axes, arm: Arm, measure: str, look: str, at: tuple[float, bool]) -> float:
    """One arm with its interval; returns where that ends. ``at``: the place; whether upright."""
    found = spread(arm, measure)
    if found is None:
        return 0.0
    place, upright = at
    middle, half = found["mean"], found["half"] or 0.0
    ends, twice = (middle - half, middle + half), (place, place)
    colour = _LOOKS[look]["color"]
    axes.plot(*((twice, ends) if upright else (ends, twice)), "-", color=colour, linewidth=1.4)
    axes.plot(*((place, middle) if upright else (middle, place)), linestyle="", **_LOOKS[look])
    return float(middle + half)


def _bounds(axes: Axes, bounds: Sequence[Arm], measure: str, upright: bool) -> None:
    known = [(arm["title"], value) for arm in bounds if (value := mean(arm, measure)) is not None]
    line: Any = axes.axvline if upright else axes.axhline
    for number, (title, value) in enumerate(known):
        kind = number % len(_DASHES)
        line(
            value,
            color=_BOUND_COLOURS[kind],
            linestyle=_DASHES[kind],
            linewidth=1.4,
            zorder=0.5,
            label=f"{title}: {value:.3f}",
        )
    if known:
        place: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
        axes.legend(frameon=False, fontsize=8.5, ncols=1 if upright else len(known), **place)


def _legend(figure: Figure, used: set[str]) -> None:
    handles = [
        mpl.lines.Line2D([], [], linestyle="", label=_TOLD[look], **_LOOKS[look])
        for look in _LOOKS
        if look in used
    ]
    figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside lower left", ncols=4)


def _columns(rows: Sequence[Arm]) -> list[tuple[float, list[int]]]:
    """Places in ``rows`` by bytes; sizes that differ by less than 2 % share a column."""
    sizes = {
        n: arm["cost"]["bytes"]["mean"] for n, arm in enumerate(rows) if "bytes" in arm["cost"]
    }
    made: list[tuple[float, list[int]]] = []
    for number in sorted(sizes, key=lambda n: (sizes[n], n)):
        if made and sizes[number] <= _SAME * made[-1][0]:
            made[-1][1].append(number)
        else:
            made.append((sizes[number], [number]))
    return [(size, sorted(members)) for size, members in made]
