"""The pictures of a comparison: every arm's distance, and one arm against its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.reporting.drawing import FAINT, QUIET, REFERENCE, STUDENT, STYLE

_LONGEST_NAME = 56
_MARKS = {
    "raw": ("o", REFERENCE, "raw"),
    "fitted": ("s", STUDENT, "each at its own temperature fitted for likelihood"),
    "sharpened": ("D", "#5a6b7d", "each at its own temperature fitted for distance"),
}


@mpl.rc_context(STYLE)
def distances(arms: Sequence[Mapping[str, Any]]) -> Figure:
    """Mean semantic distance of every arm, raw and fitted, with its deviation over seeds.

    ``arms`` are those of ``compare.json``; the ones that were not served are left out.
    """
    drawn = [arm for arm in arms if arm["mean"]]
    figure = Figure((8.6, 1.35 + 0.36 * len(drawn)), layout="constrained")
    axes = figure.subplots()
    for row, arm in enumerate(drawn):
        axes.axhline(row, color=FAINT, linewidth=0.8, zorder=0)
        for place, state in enumerate(_MARKS):
            mean = arm["mean"][state]["semantic_distance"]
            bar = arm["std"][state]["semantic_distance"]
            _mark(axes, state, mean, row + 0.22 * (place - 1), bar and (mean - bar, mean + bar))
    _legend(axes)
    axes.set_xlabel("semantic distance (further left is better)")
    _rows(axes, [_short(arm["name"]) for arm in drawn])
    for tick, arm in zip(axes.get_yticklabels(), drawn, strict=True):
        tick.set_fontweight("bold" if arm["role"] == "asked" else "normal")
    return figure


@mpl.rc_context(STYLE)
def against_controls(differences: Sequence[Mapping[str, Any]]) -> Figure:
    """One arm's distance minus each control's, with corrected intervals; zero is no difference.

    ``differences`` are those of one arm in ``compare.json``.
    """
    drawn = [found for found in differences if found["measure"] in _MARKS]
    controls = list(dict.fromkeys(found["control"] for found in drawn))
    figure = Figure((8.6, 1.35 + 0.5 * len(controls)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    states = list(_MARKS)
    for found in drawn:
        place = 0.24 * (states.index(found["measure"]) - 1)
        row = controls.index(found["control"]) + place
        interval = None if found["low"] is None else (found["low"], found["high"])
        _mark(axes, found["measure"], found["mean"], row, interval)
    _legend(axes)
    axes.set_xlabel("difference in semantic distance (left of zero: the arm is nearer)")
    _rows(axes, controls)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _mark(
    axes: Axes, state: str, mean: float, row: float, interval: tuple[float, float] | None
) -> None:
    marker, colour, _ = _MARKS[state]
    axes.plot(mean, row, marker, color=colour, markersize=6)
    if interval is not None:
        axes.plot(interval, (row, row), "-", color=colour, linewidth=1.4)


def _legend(axes: Axes) -> None:
    for marker, colour, name in _MARKS.values():
        axes.plot([], [], marker, color=colour, markersize=6, label=name)
    axes.legend(
        frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=1, borderpad=0
    )


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
