"""What ``attack.json`` says, in the order in which a privacy report tells it; nothing is judged.

Every figure stands with its interval, the number of decisions, what a coin would reach, and the
control: the same attack where nothing protects anybody.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Table = dict[str, Any]
_PLACES = ("overlap", "disjoint", "student")
COIN: Table = {"auc": 0.5, "tpr": {"0.01": 0.01, "0.001": 0.001}}
"""What guessing reaches."""


def told(made: Mapping[str, Any]) -> Table:
    """The section "measured" of a privacy report.

    Args:
        made: content of ``attack.json``.

    Returns:
        ``attacker``; ``decisions``, ``targets`` and ``shadows``; ``ranking``, for the run's own
        release and the control the strongest attack by what was looked at; ``random``, what a
        coin reaches; ``labels``, ``extraction`` and ``audit``, figures by release; ``worst``, who
        is hit most; ``not_played`` with reasons; ``strongest`` and ``broken_promises``.
    """
    findings, game = made.get("findings", []), made.get("game", {})
    own = _names(made, "own")
    return {
        "attacked": True,
        "battery": made["battery"],
        "attacker": "sees what crosses; knows the recipe, the candidates and their labels",
        "decisions": game.get("decisions"),
        "targets": game.get("targets"),
        "shadows": game.get("shadows"),
        "alike": game.get("alike"),
        "ranking": _ranking(findings, [*own, *_names(made, "control")], set(own)),
        "random": COIN,
        "labels": _figures(findings, "label_distribution"),
        "extraction": _figures(findings, "extraction"),
        "audit": _figures(findings, "audit"),
        "worst": _worst(findings, own),
        "not_played": dict(made.get("not_played", {})),
        "strongest": made["strongest"],
        "without_protection": made.get("without_protection"),
        "broken_promises": list(made["faults"]),
    }


def _names(made: Mapping[str, Any], which: str) -> list[str]:
    return [defence["name"] for defence in made.get("defences", []) if defence[which]]


def _ranking(findings: Sequence[Table], names: Sequence[str], own: set[str]) -> list[Table]:
    """By release and place, the attack with the largest area; None where none was played."""
    made = []
    for name in dict.fromkeys(names):
        for place in _PLACES:
            there = [f for f in _ranked(findings) if (f["defence"], f["place"]) == (name, place)]
            best = max(there, key=lambda f: float(f["figures"]["auc"]), default=None)
            made.append(_row(name, place, best) | {"control": name not in own})
    return made


def _row(name: str, place: str, found: Table | None) -> Table:
    if found is None:
        return {"release": name, "place": place, "attack": None}
    kept = ("auc", "auc_interval", "tpr", "tpr_interval", "decisions", "negatives")
    figures = found["figures"]
    return {
        "release": name,
        "place": place,
        "attack": found["attack"],
        **{key: figures[key] for key in kept},
        "allowed": figures.get("bound"),
    }


def _ranked(findings: Sequence[Table]) -> list[Table]:
    return [f for f in findings if "auc" in f["figures"]]


def _figures(findings: Sequence[Table], kind: str) -> list[Table]:
    return [
        {"release": f["defence"], **f["figures"], "broken": bool(f["fault"])}
        for f in findings
        if f["attack"] == kind
    ]


def _worst(findings: Sequence[Table], own: Sequence[str]) -> Table | None:
    """Who is hit most by the attack with the largest area on the own release."""
    there = [f for f in _ranked(findings) if f["defence"] in own and f["place"] != "student"]
    best = max(there, key=lambda f: float(f["figures"]["auc"]), default=None)
    if best is None:
        return None
    figures = best["figures"]
    return {
        "attack": best["attack"],
        "candidates": figures["worst"],
        "clients": figures.get("clients"),
        "surest": figures.get("surest"),
    }
