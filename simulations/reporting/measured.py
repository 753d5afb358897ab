"""What attacks found, as a table of words: for the terminal and for the page."""

from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]
HEAD = (
    "release",
    "asked about",
    "strongest",
    "AUC",
    "TPR at 1 %",
    "TPR at 0.1 %",
    "allowed at 1 %",
)
_RATES = ("0.01", "0.001")
_PLACES = {"overlap": "candidates", "disjoint": "other texts", "student": "the student"}
_WIDTHS = (22, 13, 16, 20, 20, 20, 0)


def lines(told: Report) -> list[str]:
    """Everything that was measured, for a terminal."""
    return [
        headline(told),
        f"attacker: {told['attacker']}",
        *(_columns(row) for row in (HEAD, *ranking(told))),
        *remarks(told),
        *(f"BROKEN PROMISE: {fault}" for fault in told["broken_promises"]),
    ]


def headline(told: Report) -> str:
    """How large the attack was."""
    count = "" if told["decisions"] is None else f", {told['decisions']:,} decisions"
    models = ""
    if told["targets"] is not None:
        models = f", {told['targets']} attacked and {told['shadows']} shadow models"
    return f"attack.json, battery {told['battery']}{models}{count}; another attack may find more"


def ranking(told: Report) -> list[tuple[str, ...]]:
    """One row for each release and what was looked at, and one for a coin, in per cent."""
    made = [_ranked(row) for row in told["ranking"]]
    coin = told["random"]
    rates = (f"{100 * coin['tpr'][rate]:.1f}" for rate in _RATES)
    return [*made, ("a coin", "", "", f"{100 * coin['auc']:.1f}", *rates, "")]


def remarks(told: Report) -> list[str]:
    """What is no ranking of candidates: one sentence each."""
    made = [f"label shares, {row['release']}: {_labels(row)}" for row in told["labels"]]
    made += [f"extraction, {row['release']}: {_extracted(row)}" for row in told["extraction"]]
    made += [f"one-run audit, {row['release']}: {_audited(row)}" for row in told["audit"]]
    if (worst := told["worst"]) is not None:
        made += _hit(worst)
    made += _resolution(told)
    if told["alike"] is False:
        made.append(
            "members and others are not alike here: no figure is held against the guarantee"
        )
    return [*made, *(f"not played: {kind}, {why}" for kind, why in told["not_played"].items())]


def _resolution(told: Report) -> list[str]:
    """Where there are too few outsiders for a rate, that it was none of them."""
    counts = [row["negatives"] for row in told["ranking"] if row["attack"] is not None]
    fewest = min(counts, default=0)
    return [
        f"{100 * float(rate):g} % of {fewest:,} outsiders is not one: that column is without any "
        "false alarm"
        for rate in _RATES
        if fewest and fewest * float(rate) < 1
    ]


def _ranked(row: Report) -> tuple[str, ...]:
    name = f"{row['release']} (control)" if row["control"] else str(row["release"])
    if row["attack"] is None:
        return name, _PLACES[row["place"]], "not played", "", "", "", ""
    spans = [_span(row["auc"], row["auc_interval"])]
    spans += [_span(row["tpr"][rate], row["tpr_interval"][rate]) for rate in _RATES]
    bound = row["allowed"]
    allowed = "anything" if bound is None else f"{100 * bound[_RATES[0]]:.1f}"
    return name, _PLACES[row["place"]], row["attack"], *spans, allowed


def _labels(row: Report) -> str:
    made = f"off by {row['tv']:.0%} of a shard (a blind guess: {row['tv_blind']:.0%})"
    if row["absent_auc"] is not None:
        made += f", missing labels told with an AUC of {100 * row['absent_auc']:.1f}"
    return made


def _extracted(row: Report) -> str:
    made = f"a copy decides alike on {row['agreement']:.1%} (blind: {row['agreement_blind']:.1%})"
    if row["score_error"] is not None:
        made += f", scores off by {row['score_error']:.1e}"
    return made


def _audited(row: Report) -> str:
    claimed = row["epsilon_claimed"]
    beside = "nothing is claimed" if claimed is None else f"{claimed:.3g} is claimed"
    verdict = "FAILED" if row["broken"] else "passed"
    return f"epsilon >= {row['epsilon_lower']:.3g} (95 %), {beside}: {verdict}"


def _hit(worst: Report) -> list[str]:
    made = []
    if worst["candidates"]["auc"] is not None:
        rows = ", ".join(map(str, worst["candidates"]["candidates"]))
        auc = 100 * worst["candidates"]["auc"]
        made.append(f"worst-hit candidates ({worst['attack']}): {rows}, AUC {auc:.1f}")
    if worst["clients"]:
        client, auc = max(worst["clients"].items(), key=lambda one: float(one[1]))
        made.append(f"worst-hit client ({worst['attack']}): {client}, AUC {100 * auc:.1f}")
    if worst["surest"]:
        rows = ", ".join(f"row {row} of client {client}" for client, row in worst["surest"][:5])
        made.append(f"members found most surely ({worst['attack']}): {rows}")
    return made


def _span(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _columns(row: tuple[str, ...]) -> str:
    cells = (f"{cell:{width}}" for cell, width in zip(row, _WIDTHS, strict=True))
    return "".join(cells).rstrip()
