"""The report's pictures: matplotlib figures, and their SVG text to put into a page.

Every function takes plain lists (what ``pictures.json`` and ``summary.json`` hold) and
returns a ``Figure``; no pyplot, so nothing is global and nothing needs a display. Blue
means the student and orange the reference everywhere; the pair stays apart for every
common form of colour blindness (Okabe and Ito, 2008), as does a single-hue scale.
Pictures of transport are in :mod:`simulations.reporting.figures_transport`.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import floor, log10
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from simulations.reporting.drawing import (
    FAINT,
    MOST_ROWS,
    QUIET,
    REFERENCE,
    STUDENT,
    STYLE,
    heat_map,
    is_crowded,
    name_columns,
    name_rows,
    short,
    wrapped,
)
from simulations.reporting.rows import Arm, drawn_arms

# Ids that count (axes_1) would repeat within a page; inline SVG needs no namespaces.
_NEEDLESS = re.compile(r' id="[A-Za-z][\w.]*_\d{1,6}"| xmlns(:xlink)?="[^"]*"')


def svg(figure: Figure, title: str) -> Markup:
    """``figure`` as inline SVG with ``title`` as its text for readers who cannot see it.

    Same figure and title, same bytes: no date, ids salted with the title, by which the
    pictures of a page differ. Text stays text, so it can be searched
    and read aloud.
    """
    stream = io.StringIO()
    bare = {"Date": None, "Creator": None, "Format": None, "Type": None}
    salted: Any = STYLE | {"svg.hashsalt": title}
    with mpl.rc_context(salted), warnings.catch_warnings():
        # The browser has the glyphs that the measuring font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="svg", metadata=bare, transparent=True)
    text = stream.getvalue()
    text = re.sub(_NEEDLESS, "", text[text.index("<svg") :]).replace("xlink:href", "href")
    opening, rest = text.split(">", 1)
    label = escape(title)
    head = f'{opening} role="img" aria-label="{label}">\n <title>{label}</title>'
    # matplotlib escapes the texts of a figure; the title is escaped above.
    return Markup(head + rest)


@mpl.rc_context(STYLE)
def holdings(
    counts: Sequence[Sequence[int]], clients: Sequence[str], labels: Sequence[str]
) -> Figure:
    """Who holds what: a heat map of sample counts, (K clients, C labels)."""
    rows = len(counts)
    figure = Figure((8.6, min(1.3 + 0.42 * rows, 6.5)), layout="constrained")
    axes = figure.subplots()
    heat_map(axes, counts, counts)
    name_columns(axes, labels)
    if rows <= 2 * MOST_ROWS:
        name_rows(axes, [short(name) for name in clients])
    else:
        axes.set_ylabel(f"{rows} clients, in order")
    axes.set_xlabel("label")
    if is_crowded(counts):
        bar = figure.colorbar(axes.collections[0], ax=axes, pad=0.015, fraction=0.03)
        bar.outline.set_visible(False)
        bar.set_label("samples")
    return figure


def teachers_figure(pictures: Mapping[str, Any], summary: Mapping[str, Any]) -> Figure:
    """Teachers against student, from ``pictures.json`` and ``summary.json``."""
    return arms(*drawn_arms(summary, pictures))


@mpl.rc_context(STYLE)
def arms(teachers: Sequence[Arm], others: Sequence[Arm], student: Arm | None) -> Figure:
    """Teachers against the student and the bounds: accuracy beside Semantic Distance.

    A dozen teachers get a row each; more share one row, a tick per teacher.
    """
    crowd = teachers if len(teachers) > MOST_ROWS else ()
    rows = [*([student] if student else []), *others, *(() if crowd else teachers)]
    colours = [STUDENT] * bool(student) + [REFERENCE] * len(others) + [QUIET] * len(teachers)
    figure = Figure((8.6, 1.15 + 0.32 * (len(rows) + bool(crowd))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, value in ((left, 1), (right, 2)):
        _dots(axes, rows, colours, value)
        ticks = [arm[value] for arm in crowd]
        axes.plot(ticks, [len(rows)] * len(ticks), "|", color=QUIET, markersize=12, alpha=0.6)
        axes.set_ylim(len(rows) + bool(crowd) - 0.4, -0.6)
    left.set_xlabel("accuracy (further right is better)")
    right.set_xlabel("semantic distance (further left is better)")
    names = [arm[0] for arm in rows] + [f"{len(teachers)} teachers"] * bool(crowd)
    left.set_yticks(range(len(names)), [short(name) for name in names])
    right.tick_params(axis="y", length=0)
    if student:
        left.get_yticklabels()[0].set_fontweight("bold")
    return figure


@mpl.rc_context(STYLE)
def reliability(curves: Mapping[str, Mapping[str, Sequence[Any]]]) -> Figure:
    """How often a prediction is right against how sure it is; below, how many there are.

    ``curves`` holds ``{"confidence", "accuracy", "count"}`` lists (one value per bin, None
    where a bin is empty) for "student" and perhaps "centralised".
    """
    figure = Figure((4.3, 4.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot((0, 1), (0, 1), color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    upper.annotate("perfect", (0.13, 0.05), color="#52606d", fontsize=9)
    for name, curve in curves.items():
        _reliability_curve(upper, lower, name, curve)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    upper.grid(color=FAINT, linewidth=0.8)
    upper.legend(frameon=False, loc="upper left", fontsize=9)
    lower.set(xlabel="confidence of the top label", ylabel="samples")
    return figure


@mpl.rc_context(STYLE)
def confusion(
    counts: Sequence[Sequence[int]],
    labels: Sequence[str],
    positions: Sequence[float] | None = None,
    expected: Sequence[float | None] | None = None,
) -> Figure:
    """Where the student puts each gold label: rows in per cent, labels in their order.

    A diamond marks the mean expected position of a row, where labels lie on a line.
    """
    shares = [[100 * cell / max(sum(row), 1) for cell in row] for row in counts]
    side = min(max(3.2, 1.4 + 0.58 * len(labels)), 6.5)
    figure = Figure((4.3, side if len(labels) > 5 else 4.5), layout="constrained")
    axes = figure.subplots()
    heat_map(axes, shares, [[f"{share:.0f}" for share in row] for row in shares], top=100)
    name_columns(axes, labels)
    named = zip(labels, counts, strict=True)
    name_rows(axes, [f"{wrapped(name, len(labels))}\n({sum(row)})" for name, row in named])
    axes.tick_params(labelsize=9)
    axes.set(xlabel="student's label", ylabel="gold label (samples)")
    if positions and expected:
        _diamonds(axes, positions, expected)
    return figure


@mpl.rc_context(STYLE)
def traffic(bars: Sequence[tuple[str, float, str]], unit: Callable[[float], str]) -> Figure:
    """Bytes of one client on a log axis: (name, bytes, number as written) for each bar.

    The last bar is the reference; ``unit`` writes the ticks.
    """
    figure = Figure((8.6, 0.75 + 0.36 * len(bars)), layout="constrained")
    axes = figure.subplots()
    values = [max(value, 1.0) for _, value, _ in bars]
    colours = [STUDENT, "#7fb0d8", REFERENCE][-len(bars) :]
    axes.barh(range(len(bars)), values, color=colours, height=0.62)
    for row, (_, _, written) in enumerate(bars):
        _write(axes, written, (values[row], row))
    axes.set_xscale("log")
    axes.set_xlim(10 ** (floor(log10(min(values))) - 1), max(values) * 12)
    axes.xaxis.set_major_formatter(lambda value, _: unit(value))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("bytes per client, all rounds (logarithmic)")
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.invert_yaxis()
    return figure


def _dots(axes: Axes, rows: Sequence[Arm], colours: Sequence[str], value: int) -> None:
    for row, (arm, colour) in enumerate(zip(rows, colours, strict=False)):
        ours, place = colour == STUDENT, (float(arm[value]), row)
        weight = "bold" if ours else "normal"
        axes.plot(*place, "o", color=colour, markersize=9 if ours else 7)
        _write(axes, f"{place[0]:.3f}", place, fontsize=9, fontweight=weight)
    axes.margins(x=0.2)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _write(axes: Axes, text: str, place: tuple[float, float], **style: Any) -> None:
    """Write ``text`` just right of ``place``."""
    axes.annotate(text, place, (8, 0), textcoords="offset points", va="center", **style)


def _reliability_curve(
    upper: Axes, lower: Axes, name: str, curve: Mapping[str, Sequence[Any]]
) -> None:
    ours = name == "student"
    colour = STUDENT if ours else REFERENCE
    bins = len(curve["count"])
    filled = [b for b in range(bins) if curve["count"][b]]
    x, y, count = ([curve[key][b] for b in filled] for key in ("confidence", "accuracy", "count"))
    marker = "o" if ours else "s"
    upper.plot(x, y, color=colour, linewidth=1, alpha=0.5)
    areas = [6 + 70 * n / max(count) for n in count]
    upper.scatter(x, y, areas, color=colour, marker=marker, zorder=3, clip_on=False)
    upper.plot([], [], marker, color=colour, markersize=6, label=name)
    edges = [b / bins for b in range(bins + 1)]
    lower.stairs(curve["count"], edges, fill=ours, color=colour, alpha=0.85 if ours else 1)


def _diamonds(axes: Axes, positions: Sequence[float], expected: Sequence[float | None]) -> None:
    centres = [column + 0.5 for column in range(len(positions))]
    for row, place in enumerate(expected):
        if place is not None:
            x = _between(place, positions, centres)
            axes.plot(x, row + 0.85, "D", color=REFERENCE, markersize=5, markeredgecolor="white")


def _between(place: float, positions: Sequence[float], centres: Sequence[float]) -> float:
    """``place`` of the label line on the axis of columns, linear between neighbours."""
    for (low, high), x in zip(pairwise(positions), centres, strict=False):
        if place <= high:
            return x + max(place - low, 0.0) / (high - low)
    return centres[-1]
