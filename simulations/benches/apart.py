"""``fedknot bench scale --work both``: the same teachers, one by one and side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulations.benches._promises import APART, THOUSAND, kept, short, verdicts
from simulations.benches.scale import lines as lines_of
from simulations.benches.scale import scale_bench
from simulations.events import Progress

WORLDS: Final = ("real", "side_by_side")
_QUOTIENTS: Final = {"total_seconds": "whole run", "teachers_seconds": "training"}


def apart_bench(
    clients: Sequence[int],
    backend: str,
    report: Progress,
    *,
    rounds: int = 2,
    every: float | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run real clients one by one, and then side by side.

    Args:
        clients: the K, ascending.
        backend: "ray" or "inline".
        report: told ("<K> clients", rounds that have ended, rounds).
        rounds: of every run, at least two.
        every: seconds between two samples.
        command: how ``fedknot`` is called.

    Returns:
        See :func:`apart`.

    Raises:
        ConfigError: as :func:`simulations.benches.scale.scale_bench`.
        Failure: as there.
    """
    return apart(
        {
            work: scale_bench(
                clients, backend, report, work=work, rounds=rounds, every=every, command=command
            )
            for work in WORLDS
        }
    )


def apart(made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How far the two are apart.

    Args:
        made: what :func:`simulations.benches.scale.scale_bench` returned of each of :data:`WORLDS`.

    Returns:
        ``worlds``, the same; ``quotients``, one by one over side by side, for each K; ``floors``,
        what is promised of the quotients at 1,000 clients.
    """
    quotients = _quotients(*(made[work]["runs"] for work in WORLDS))
    most = next((found for found in quotients if found["clients"] == THOUSAND), None)
    return {"schema": 1, "worlds": dict(made), "quotients": quotients, "floors": kept(APART, most)}


def lines(made: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    shown = [line for work in WORLDS for line in (*lines_of(made["worlds"][work]), "")]
    heads = "".join(f"{found['clients']:>10,}" for found in made["quotients"])
    shown.append(f"{'times sooner':20}{heads}")
    for name, title in _QUOTIENTS.items():
        values = "".join(f"{short(found[name]):>10}" for found in made["quotients"])
        shown.append(f"{title:20}{values}")
    return [*shown, *verdicts(made["floors"])]


def _quotients(
    alone: Sequence[Mapping[str, Any]], together: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {"clients": one["clients"]} | {name: _quotient(one, both, name) for name in _QUOTIENTS}
        for one, both in zip(alone, together, strict=True)
    ]


def _quotient(one: Mapping[str, Any], both: Mapping[str, Any], name: str) -> float | None:
    if one[name] is None or not both[name]:
        return None
    return round(float(one[name] / both[name]), 4)
