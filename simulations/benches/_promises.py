"""What is promised for a thousand clients, and whether it is kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

THOUSAND: Final = 1000


class Promise(NamedTuple):
    """One figure and its bound.

    Attributes:
        figure: which one, of a run with :data:`THOUSAND` clients.
        what: in words.
        limit: the bound, in the unit that the words name.
        bound: on which side of it the figure is to be.
    """

    figure: str
    what: str
    limit: float
    bound: Literal["most", "least"] = "most"


PER_CLIENT: Final = "driver_kb_per_client"
_MEMORY: Final = Promise(PER_CLIENT, "driver memory per client [kB]", 100.0)

OF_WORLDS: Final = {
    "trivial": (
        Promise("round_seconds", "a round of 1,000 trivial clients [s]", 0.6),
        Promise("driver_cpu_seconds", "its driver CPU [s]", 0.3),
        _MEMORY,
    ),
    "real": (
        Promise("total_seconds", "the whole run of 1,000 real clients [s]", 600.0),
        _MEMORY,
    ),
    "side_by_side": (
        Promise("total_seconds", "the whole run of 1,000 real clients, side by side [s]", 90.0),
        _MEMORY,
    ),
}
"""By the world of :mod:`simulations.benches._scale_world`."""

APART: Final = (
    Promise("total_seconds", "the whole run, times sooner side by side", 8.0, "least"),
    Promise("teachers_seconds", "training alone, times sooner side by side", 8.0, "least"),
)
"""Of the quotient of one by one and side by side, at 1,000 clients."""


def kept(
    promises: Sequence[Promise], found: Mapping[str, float | None] | None
) -> list[dict[str, Any]]:
    """Every promise with what was found.

    Args:
        promises: to be held against.
        found: figures of 1,000 clients; None if there was no such run.

    Returns:
        For each promise ``what``, ``limit``, ``bound``, ``found`` and ``holds``, the last two None
        where nothing was measured.
    """
    return [_judged(promise, (found or {}).get(promise.figure)) for promise in promises]


def verdicts(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each promise: figure, bound, met or missed."""
    return [_line(one) for one in judged]


def short(value: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _judged(promise: Promise, found: float | None) -> dict[str, Any]:
    holds = None
    if found is not None:
        holds = found < promise.limit if promise.bound == "most" else found >= promise.limit
    told = {"what": promise.what, "limit": promise.limit, "bound": promise.bound}
    return told | {"found": found, "holds": holds}


def _line(judged: Mapping[str, Any]) -> str:
    wanted = "{what}: at {bound} {limit:g}".format(**judged)
    if judged["holds"] is None:
        return f"{wanted}: not measured, it takes 1,000 clients and fewer beside them"
    return f"{wanted}, found {short(judged['found'])}: {'met' if judged['holds'] else 'MISSED'}"
