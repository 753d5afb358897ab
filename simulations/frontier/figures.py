"""The pictures: use against what attackers find; and each measure along epsilon and along width."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from simulations.frontier.asked import OFF
from simulations.reporting.drawing import FAINT, QUIET, REFERENCE, STUDENT, STYLE
from simulations.sweeping.figures import Axis
from simulations.sweeping.figures import grid as heat

Point = Mapping[str, Any]
_RARE = "tpr_0.001"
_KILO = 1000
_NEAR = 0.1
"""Of an axis: points nearer than that share a name."""


@dataclass(frozen=True)
class Measure:
    """One figure of a point.

    Attributes:
        part: of the point.
        key: in that part.
        title: for a person.
        share: whether it is written in per cent.
    """

    part: str
    key: str
    title: str
    share: bool = False

    def of(self, point: Point) -> Mapping[str, Any] | None:
        """Mean and interval; None where no run is complete."""
        found: Mapping[str, Any] | None = point[self.part].get(self.key)
        return found


MEASURES = (
    Measure("use", "accuracy", "student's accuracy"),
    Measure("use", "semantic_distance", "semantic distance (lower is better)"),
    Measure("attack", "auc", "strongest attack, AUC (50 % is a coin)", share=True),
    Measure("attack", _RARE, "members found at 0.1 % false alarms", share=True),
)


def guarded(points: Sequence[Point], own: int) -> list[Point]:
    """No guarantee, then the weakest, at the experiment's own width."""
    return [point for point in points if point["bits"] == own]


def widths(points: Sequence[Point]) -> list[Point]:
    """All widths without a guarantee, the widest first."""
    return [point for point in points if point["epsilon"] is None]


def name_of(point: Point) -> str:
    """Its strength: ``off``, ``8``."""
    return OFF if point["epsilon"] is None else f"{point['epsilon']:g}"


@mpl.rc_context(STYLE)
def plane(points: Sequence[Point], own: int) -> Figure:
    """Accuracy against the strongest attack; a mark's area goes with the bytes that are sent.

    Both lines begin where nothing is guaranteed. Up and to the left is better.
    """
    drawn = [point for point in points if point["use"]]
    figure = Figure((8.6, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.5, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    ways: tuple[tuple[list[Point], str, str, Callable[[Point], str]], ...] = (
        (widths(drawn), REFERENCE, "fewer bits, no guarantee", _width),
        (guarded(drawn, own), STUDENT, f"a guarantee, {own} bits", _strength),
    )
    most = max(point["bytes_up_per_client"] for point in drawn)
    for found, colour, title, name in ways:
        places = [(p["attack"]["auc"]["mean"], p["use"]["accuracy"]["mean"]) for p in found]
        across, up = [place[0] for place in places], [place[1] for place in places]
        axes.plot(across, up, "-", color=colour, linewidth=1.4, label=title)
        areas = [30 + 170 * p["bytes_up_per_client"] / most for p in found]
        axes.scatter(across, up, s=areas, color=colour, alpha=0.85, zorder=3)
        _name_points(axes, places, [name(p) for p in found], colour, below=colour == REFERENCE)
    axes.set_xlabel("strongest attack, AUC (50 % is a coin; further left is more private)")
    axes.set_ylabel("student's accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.margins(0.12, 0.2)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _width(point: Point) -> str:
    return "1 bit" if point["bits"] == 1 else f"{point['bits']} bits"


def _strength(point: Point) -> str:
    return "no guarantee" if point["epsilon"] is None else f"epsilon {name_of(point)}"


def _name_points(
    axes: Axes,
    places: Sequence[tuple[float, float]],
    names: Sequence[str],
    colour: str,
    below: bool,
) -> None:
    """Points that would be named over each other share a line of names."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    groups: list[tuple[tuple[float, float], list[str]]] = []
    for place, name in zip(places, names, strict=True):
        near = groups and abs(groups[-1][0][0] - place[0]) < _NEAR * (right - left)
        if near and abs(groups[-1][0][1] - place[1]) < _NEAR * (high - low):
            groups[-1][1].append(name)
        else:
            groups.append((place, [name]))
    for place, told in groups:
        axes.annotate(
            _joined(told),
            place,
            textcoords="offset points",
            xytext=(0, -20) if below else (11, -13),
            ha="center" if below else "left",
            color=colour,
            fontsize=9,
        )


def _joined(names: Sequence[str]) -> str:
    """``16, 8, 4 bits``."""
    return ", ".join([*(name.removesuffix(" bits") for name in names[:-1]), names[-1]])


@mpl.rc_context(STYLE)
def panels(points: Sequence[Point], own: int) -> Figure:
    """Every measure along epsilon, and along width without a guarantee, with intervals."""
    figure = Figure((8.6, 2.15 * len(MEASURES)), layout="constrained")
    cells = figure.subplots(len(MEASURES), 2, sharey="row", squeeze=False)
    left, right = guarded(points, own), widths(points)
    for (here, there), measure in zip(cells, MEASURES, strict=True):
        _along(here, left, measure, STUDENT)
        _along(there, right, measure, REFERENCE)
        if measure.key == _RARE:
            _allowed(here, left)
        here.set_title(measure.title, fontsize=10, loc="left")
        if measure.key == _RARE:  # from half of all members to one in a thousand
            here.set_yscale("symlog", linthresh=0.001)
            here.set_yticks([0, 0.001, 0.01, 0.1, 1])
        if measure.share:
            here.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        here.set_xticks(range(len(left)), [name_of(point) for point in left])
        names = [f"{p['bits']}\n{size(p['bytes_up_per_client'])}" for p in right]
        there.set_xticks(range(len(right)), names)
    cells[-1][0].set_xlabel(f"epsilon, at {own} bits")
    cells[-1][1].set_xlabel("bits, and what a client sends; no guarantee")
    return figure


def _along(axes: Axes, points: Sequence[Point], measure: Measure, colour: str) -> None:
    known = [(x, found) for x, p in enumerate(points) if (found := measure.of(p)) is not None]
    for x, found in known:
        if found["low"] is not None:
            axes.plot((x, x), (found["low"], found["high"]), "-", color=colour, linewidth=1.2)
    axes.plot(
        [x for x, _ in known], [f["mean"] for _, f in known], "o-", color=colour, markersize=5
    )
    axes.set_xlim(-0.4, len(points) - 0.6)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _allowed(axes: Axes, points: Sequence[Point]) -> None:
    """What each guarantee allows the best attack there can be."""
    told = [(x, p["allowed"][_RARE]) for x, p in enumerate(points) if p["allowed"]]
    if told:
        axes.plot(*zip(*told, strict=True), "_", color=QUIET, markersize=16, label="allowed")
        axes.legend(frameon=False, fontsize=9, loc="upper right")


def maps(points: Sequence[Point]) -> list[tuple[Figure, str]]:
    """Each measure by epsilon and width as a heat map; none where not all were measured."""
    epsilons = list(dict.fromkeys(name_of(point) for point in points))
    bits = list(dict.fromkeys(str(point["bits"]) for point in points))
    if len(points) < len(epsilons) * len(bits) or len(epsilons) < 2:
        return []
    rows, columns = Axis(0, "epsilon", tuple(epsilons), None), Axis(1, "bits", tuple(bits), None)
    made = []
    for measure in MEASURES:
        found = {(name_of(p), str(p["bits"])): measure.of(p) for p in points}
        means = [[_mean(found[row, column]) for column in bits] for row in epsilons]
        if any(mean is not None for row in means for mean in row):
            about = f"Heat map: {measure.title}, by epsilon and bits"
            made.append((heat(rows, columns, means, measure.title), about))
    return made


def _mean(found: Mapping[str, Any] | None) -> float | None:
    return None if found is None else float(found["mean"])


def size(count: int) -> str:
    """Bytes as a person writes them: ``980 B``, ``20.0 kB``."""
    return f"{count} B" if count < _KILO else f"{count / _KILO:.1f} kB"
