"""The privacy report for a person: lines for the terminal, and what the page shows of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.failures import FolderError
from common.files import read_json
from simulations import privacy_report
from simulations.reporting import measured

Report = Mapping[str, Any]


def section(folder: Path) -> dict[str, Any] | None:
    """``privacy.json`` for the page, with what attacks found since; None in older folders.

    Raises:
        FolderError: it is damaged.
    """
    path = folder / "privacy.json"
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = read_json(path)
    except ValueError as damage:
        raise FolderError(f"{path} is damaged; run the experiment again") from damage
    told = privacy_report.measured(folder)
    if told["attacked"]:
        told |= {
            "headline": measured.headline(told),
            "head": measured.HEAD,
            "rows": measured.ranking(told),
            "remarks": measured.remarks(told),
        }
    spent = found["cost"] | privacy_report.without_protection(told)
    return found | {"measured": told, "cost": spent, "cost_told": cost(spent)}


def lines(report: Report) -> list[str]:
    """The whole report."""
    return [
        *_crossed(report["crossed"]),
        "",
        *promised(report["guarantee"]),
        "",
        *found(report["measured"]),
        "",
        "4 COST          " + cost(report["cost"]),
        "",
        *_indented("5 LIMITS", report["limits"]),
    ]


def promised(told: Report) -> list[str]:
    """What is guaranteed, or that nothing is."""
    if told["epsilon"] is None:
        return [f"2 GUARANTEE     {told['guarantee']}"]
    mu = "" if told["mu"] is None else f" (mu-GDP {told['mu']:.3g})"
    counted = told.get("counted", "training")
    epsilon = f"epsilon {told['epsilon']:.4g} at delta {told['delta']:g}{mu}"
    return [
        f"2 GUARANTEE     {told['guarantee']}: {epsilon}",
        f"                unit: {told['unit']}",
        f"                {told['trainings']} {counted}(s): {'; '.join(told['spent'])}",
        f"                accountant: {told['accountant']}; noise: {told['noise']}",
        "                NOT covered: " + "; ".join(told["not_covered"]),
    ]


def found(told: Report) -> list[str]:
    """What attacks found, or that nobody tried."""
    if not told["attacked"]:
        return [f"3 MEASURED      {told['say']}"]
    return _indented("3 MEASURED", measured.lines(told))


def cost(told: Report) -> str:
    """The student's accuracy beside what it could have been."""
    names = ("student", "without_protection", "mean_teacher", "ensemble", "centralised")
    there = [(name, told.get(name)) for name in names]
    known = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in there if value is not None]
    bounded = any(value is not None for _, value in there[2:])
    beside = "" if bounded else "; its bounds were not measured: set bounds = true"
    return "accuracy: " + ", ".join(known) + beside


def _crossed(told: Report) -> list[str]:
    audit, up = told["audit"], told["up"]
    if audit["chains"] != "verified":
        return [f"1 WHAT CROSSED  not known: {audit['chains']}"]
    head = f"1 WHAT CROSSED  audit chains verified, both sides {audit['sides']}"
    table = [("field", "type", "shape", "bytes", "messages", "total", "of data?", "accounted?")]
    table += [
        (
            row["field"],
            row["type"],
            row["shape"],
            f"{row['bytes_per_message']:,}",
            f"{row['messages']:,}",
            f"{row['bytes']:,}",
            "yes" if row["client_derived"] else "no",
            row["in_account"],
        )
        for row in told["fields"]
    ]
    made = [head, *("                " + _columns(row) for row in table)]
    envelopes = up["envelope_bytes"]
    around = "" if envelopes is None else f", and envelopes of {envelopes:,}"
    made.append(f"                up: {up['bytes']:,} bytes of {up['clients']} client(s){around}")
    refused = ", ".join(f"{n} {why}" for why, n in told["rejected"].items()) or "none"
    made.append(f"                rejected: {refused}; errors: {told['errors']}")
    down = ", ".join(f"{row['messages']} {row['what']}, {row['bytes']:,} B" for row in told["down"])
    return [*made, f"                down: the transfer set; {down or 'no question'}"]


def _columns(row: tuple[str, ...]) -> str:
    widths = (14, 8, 12, 10, 10, 12, 10, 0)
    return "".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _indented(head: str, rows: list[str]) -> list[str]:
    return [f"{head if not number else '':16}{row}" for number, row in enumerate(rows)]
