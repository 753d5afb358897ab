"""The pictures of a sweep: a metric against what is varied, with intervals; and as a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from simulations.reporting.drawing import (
    COLOURS,
    FAINT,
    STYLE,
    heat_map,
    name_columns,
    name_rows,
    short,
)

MOST_LINES = 12
_MARKS = "osD^vP*X"
_WIDE_RANGE = 8
_SPREAD = 0.04


@dataclass(frozen=True)
class Axis:
    """What stands on the horizontal axis.

    Attributes:
        place: of the key among those that are varied.
        title: of the axis.
        names: of the values, as written.
        numbers: the values, where they are numbers, or tables that differ in one number.
    """

    place: int
    title: str
    names: tuple[str, ...]
    numbers: tuple[float, ...] | None

    @property
    def places(self) -> tuple[float, ...]:
        """Where each value stands."""
        return self.numbers or tuple(float(n) for n in range(len(self.names)))

    @property
    def labels(self) -> tuple[str, ...]:
        """What is written at each value: its number, if it has one."""
        if self.numbers is None:
            return self.names
        return tuple(f"{number:.12g}" for number in self.numbers)

    @property
    def is_wide(self) -> bool:
        """Whether a logarithmic axis shows the values better."""
        known = self.numbers
        return known is not None and min(known) > 0 and max(known) >= _WIDE_RANGE * min(known)


def axes_of(made: Mapping[str, Any]) -> list[Axis]:
    """The keys with more than one value, numbers first: the first is drawn from left to right."""
    found = [
        Axis(place, title, tuple(names), _tuple(made["numbers"][key]))
        for place, (title, (key, names)) in enumerate(
            zip(made.get("axes", made["titles"]), made["vary"].items(), strict=True)
        )
        if len(names) > 1
    ]
    return sorted(found, key=lambda axis: axis.numbers is None)


@mpl.rc_context(STYLE)
def against(
    axis: Axis,
    lines: Mapping[str, Sequence[Mapping[str, Any]]],
    panels: Sequence[tuple[str, str, str]],
) -> Figure:
    """Metrics against one key, side by side, with 95 % intervals; one line per other value.

    Args:
        axis: the key.
        lines: settings of ``sweep.json`` by the name of the line that they lie on.
        panels: state, metric and title of each.
    """
    figure = Figure((4.6 * len(panels) + 0.4, 3.5 + 0.18 * (len(lines) > 1) * len(lines)))
    figure.set_layout_engine("constrained")
    beside = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (state, metric, title) in zip(beside, panels, strict=True):
        for number, (name, found) in enumerate(lines.items()):
            _line(axes, axis, found, (state, metric), _Which(number, len(lines), name))
        axes.set_title(title, fontsize=10, loc="left")
        _ticks(axes, axis)
    if len(lines) > 1:
        handles, names = beside[0].get_legend_handles_labels()
        figure.legend(handles, names, frameon=False, fontsize=9, loc="outside lower left", ncols=2)
    return figure


@mpl.rc_context(STYLE)
def grid(rows: Axis, columns: Axis, means: Sequence[Sequence[float | None]], title: str) -> Figure:
    """Means of one metric for two keys as a heat map; the darker, the higher.

    ``means`` has a row for each value of ``rows``; None where no seed is complete.
    """
    known = [value for row in means for value in row if value is not None]
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    # From the lightest colour but one, so that a cell without figures can be told from the lowest.
    shades = [[0.0 if v is None else 0.15 + 0.85 * (v - low) / span for v in row] for row in means]
    told = [["\N{EN DASH}" if v is None else f"{v:.3f}" for v in row] for row in means]
    size = (2.2 + 0.85 * len(columns.names), 1.5 + 0.42 * len(rows.names))
    figure = Figure(size, layout="constrained")
    axes = figure.subplots()
    heat_map(axes, shades, told, top=1.0)
    name_columns(axes, [short(name) for name in columns.labels])
    name_rows(axes, [short(name) for name in rows.labels])
    axes.set_xlabel(columns.title)
    axes.set_ylabel(rows.title)
    axes.set_title(title, fontsize=10, loc="left")
    return figure


@dataclass(frozen=True)
class _Which:
    """A line: the ``number``-th among so many, and its name."""

    number: int
    among: int
    name: str


def _line(
    axes: Axes,
    axis: Axis,
    settings: Sequence[Mapping[str, Any]],
    what: tuple[str, str],
    which: _Which,
) -> None:
    """One line with its intervals; lines are moved apart a little, so that intervals show."""
    state, metric = what
    colour, mark = COLOURS[which.number % len(COLOURS)], _MARKS[which.number % len(_MARKS)]
    points = []
    for setting in settings:
        if found := setting[state].get(metric):
            at = axis.places[axis.names.index(setting["values"][axis.place])]
            points.append((_apart(axis, at, which), found))
    points.sort(key=lambda point: point[0])
    for at, found in points:
        if found["low"] is not None:
            axes.plot((at, at), (found["low"], found["high"]), "-", color=colour, linewidth=1.2)
    style = "-" if axis.numbers else ""
    means = [found["mean"] for _, found in points]
    axes.plot(
        [at for at, _ in points], means, mark + style, color=colour, markersize=5, label=which.name
    )


def _apart(axis: Axis, at: float, which: _Which) -> float:
    """Where a value is drawn: the lines' points spread evenly about it."""
    share = (which.number - (which.among - 1) / 2) / which.among
    if axis.numbers is None:
        return at + 0.5 * share
    low, high = min(axis.numbers), max(axis.numbers)
    if axis.is_wide:
        return float(at * (high / low) ** (_SPREAD * share))
    return at + _SPREAD * share * (high - low)


def _ticks(axes: Axes, axis: Axis) -> None:
    if axis.is_wide:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    steep = axis.numbers is None and max(map(len, axis.names)) * len(axis.names) > 40
    style: Any = {"rotation": 30, "ha": "right"} if steep else {}
    axes.set_xticks(axis.places, [short(name) for name in axis.labels], **style)
    axes.set_xlabel(axis.title)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _tuple(numbers: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(numbers)
