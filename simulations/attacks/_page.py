"""What a battery found, as lines for a terminal and as one page: pure functions of the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from simulations.attacks._figures import RATES
from simulations.reporting.page import template

HEAD = ("AUC", "TPR at 1 %", "TPR at 0.1 %")
_KEYS = ("auc", *(f"tpr_{rate}" for rate in RATES))
READING = (
    "AUC: how often the attacker ranks a member above an outsider; 50 % is chance. TPR: the share "
    "of members found when 1 % (or 0.1 %) of outsiders are wrongly accused; chance is 1 % (0.1 %)."
)


def lines(made: Mapping[str, Any], folder: Path) -> list[str]:
    """What the command prints: the strongest attack on each defence, and a sentence a finding."""
    game, wide = made["game"], max(18, *(len(d["name"]) for d in made["defences"]))
    return [
        f"{made['experiment']}: {made['battery']} battery, {game['targets']} attacked models, "
        f"{game['shadows']} shadow models, {game['decisions']:,} decisions",
        "",
        f"{'strongest attack on':{wide}}"
        + "".join(f"{title:>22}" for title in HEAD)
        + f"{'accuracy':>10}",
        *(_row(made, defence, wide) for defence in made["defences"]),
        "",
        *(f"{name}: {sentence}" for name, sentence in headlines(made)),
        *(f"{name}: not played, {why}" for name, why in made["not_played"].items()),
        "",
        *_hit(made),
        *(f"FAILED: {fault}" for fault in made["faults"]),
        READING,
        made["use"],
        f"report: {folder / 'attack.html'}",
    ]


def headlines(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One sentence per attack: against the experiment's own release, or what there is."""
    own = {d["name"] for d in made["defences"] if d["own"]}
    found: dict[str, tuple[bool, str]] = {}
    for row in made["findings"]:
        better = row["defence"] in own
        if row["attack"] not in found or (better and not found[row["attack"]][0]):
            found[row["attack"]] = better, row["sentence"]
    return [(name, sentence) for name, (_, sentence) in found.items()]


def page(made: Mapping[str, Any]) -> str:
    """``attack.html``: self-contained; the same figures give the same bytes."""
    text: str = template(Path(__file__).parent, "attack.html").render(
        made=made,
        head=HEAD,
        strongest=[(d, cells(made, d["name"])) for d in made["defences"]],
        headlines=headlines(made),
        ranked=[
            (row, _ranking(made, row["figures"]))
            for row in made["findings"]
            if "auc" in row["figures"]
        ],
        others=[row for row in made["findings"] if "auc" not in row["figures"]],
        reading=READING,
        written=_written,
        settings=tomli_w.dumps(made["settings"]),
    )
    return text


def cells(made: Mapping[str, Any], defence: str) -> list[str]:
    """The largest figures against a defence, each with the attack that reached it."""
    best = made["strongest"].get(defence)
    if best is None:
        return ["\N{EN DASH}"] * len(_KEYS)
    return [f"{_span(best[k]['value'], best[k]['interval'])} {best[k]['attack']}" for k in _KEYS]


def _row(made: Mapping[str, Any], defence: Mapping[str, Any], wide: int) -> str:
    best = made["strongest"].get(defence["name"], {})
    numbers = [_span(best[k]["value"], best[k]["interval"]) if best else "-" for k in _KEYS]
    return (
        f"{defence['name']:{wide}}"
        + "".join(f"{number:>22}" for number in numbers)
        + _accuracy(defence["accuracy"])
    )


def _accuracy(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.1%}"


def _ranking(made: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    rates = [str(rate) for rate in RATES]
    spans = [(figures["auc"], figures["auc_interval"])]
    spans += [(figures["tpr"][r], figures["tpr_interval"][r]) for r in rates]
    bound = figures.get("bound")
    return [
        *(_span(value, interval) for value, interval in spans),
        "\N{EN DASH}" if bound is None else f"{bound[rates[0]]:.1%}",
        _worst(made, figures) or "\N{EN DASH}",
        f"{figures['decisions']:,}",
    ]


def _worst(made: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """How well the worst-hit candidates are told apart, and which rows of the data they are."""
    worst = figures["worst"]
    if worst["auc"] is None:
        return ""
    rows = [made["game"]["candidate_rows"][place] for place in worst["candidates"]]
    return f"{worst['auc']:.0%} (rows {', '.join(map(str, rows))})"


def _hit(made: Mapping[str, Any]) -> list[str]:
    """Who is hit most by the strongest attack on the experiment's own release, if that is told."""
    own = next(d["name"] for d in made["defences"] if d["own"])
    best = made["strongest"].get(own, {}).get("auc", {}).get("attack")
    rows = [r for r in made["findings"] if (r["attack"], r["defence"]) == (best, own)]
    told = [_worst(made, row["figures"]) for row in rows]
    return [f"worst hit, by {best}: told apart {one}" for one in told if one]


def _span(value: float, interval: list[float]) -> str:
    low, high = interval
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _written(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
