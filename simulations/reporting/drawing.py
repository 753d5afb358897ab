"""What the report's pictures share: colours, letters, heat maps and how labels are named."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

STUDENT, REFERENCE, QUIET, INK, FAINT = "#0b5fa5", "#c8550b", "#8b94a0", "#1f2933", "#e3e7ec"
COLOURS = (STUDENT, REFERENCE, "#009e73", "#cc79a7", "#56b4e9", "#8b6d00", INK, QUIET)
"""Of lines that mean no party; apart for every common form of colour blindness, as above."""

SOFT, LETTER = "#52606d", 0.074
"""Of remarks; inches that a letter of 9 points takes on average."""
MOST_ROWS, MOST_UPRIGHT, MOST_CELLS, LONGEST_NAME = 12, 7, 240, 24
_MOST_NAMES = 30
# Typed loosely: the set of known keys grows with every release of matplotlib.
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans"],  # it measures; the page's own style chooses
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#b6bec8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#52606d",
    "ytick.color": "#52606d",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def heat_map(
    axes: Axes,
    values: Sequence[Sequence[float]],
    written: Sequence[Sequence[object]],
    top: float | None = None,
    most: int = MOST_CELLS,
    size: float = 10,
) -> None:
    """Cells coloured by ``values``, which are ``written`` into them unless there are too many.

    Args:
        axes: where.
        values: rows from the top; not negative.
        written: the same shape.
        top: the value of the darkest colour; the largest one if None.
        most: how many cells can still be read.
        size: of the letters, in points.
    """
    highest = top or max((max(row) for row in values), default=1) or 1
    many = is_crowded(values, most)
    axes.pcolormesh(
        [list(row) for row in values],
        cmap="Blues",
        vmin=0,
        vmax=highest,
        edgecolors="none" if many else "white",
        linewidth=0 if many else 1.5,
        rasterized=len(values) * len(values[0]) > 10 * MOST_CELLS,
    )
    axes.invert_yaxis()
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    for y, row in enumerate([] if many else values):
        for x, value in enumerate(row):
            ink = "white" if value > 0.6 * highest else INK
            place = (x + 0.5, y + 0.5, str(written[y][x]))
            cell = axes.text(*place, color=ink, ha="center", va="center", fontsize=size)
            cell.set_in_layout(False)  # hundreds of them would take seconds to lay out


def is_crowded(values: Sequence[Sequence[float]], most: int = MOST_CELLS) -> bool:
    """Whether numbers in the cells could not be read."""
    return len(values) * len(values[0]) > most


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Name the columns of a heat map: few in lines of their words, many at an angle."""
    written = [wrapped(name, len(names)) for name in names]
    steep = len(names) > MOST_UPRIGHT and max(map(len, written)) > 3
    style: Any = {"rotation": 60, "rotation_mode": "anchor", "ha": "right", "va": "center"}
    some = _some(len(names))
    axes.set_xticks([x + 0.5 for x in some], [written[x] for x in some], **(style if steep else {}))


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a heat map."""
    some = _some(len(names))
    axes.set_yticks([y + 0.5 for y in some], [names[y] for y in some])


def _some(size: int) -> range:
    """All that are named of so many; evenly spread where all would not fit."""
    return range(0, size, 1 + (size - 1) // _MOST_NAMES)


def wrapped(name: str, among: int) -> str:
    """A name in lines of nine letters, where there are few enough names for that."""
    return fill(short(name), 9) if among <= MOST_UPRIGHT else short(name)


def short(name: str) -> str:
    """A name that leaves room for the picture; both ends stay, by which names differ."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}…{name[-8:]}"


def share(value: float) -> str:
    """A weight between 0 and 1 in two digits."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def digits(value: float, full: bool = False) -> str:
    """Three digits, zeros at the end only if ``full``, no exponent where a person writes none."""
    if 99.95 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:#.3g}" if full and value else f"{value:.3g}"


def canvas(width: float, height: float) -> Axes:
    """Axes without a frame on which a unit is an inch."""
    figure = Figure((width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes
