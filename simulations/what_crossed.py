"""What crossed the wire in a run, field by field, as both sides' audit logs have it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from common.audit import released, verified
from common.failures import CheckFailed
from common.files import read_json
from common.fixed_point import EXTRA
from common.masked import masked_length
from common.quantise import packed_length
from common.reasons import Reason
from common.records import CONSENSUS, HEADER, Flags, Layout
from common.rosters import KEY_BYTES, KEYS, MASKED
from common.terms import Terms

_NO_ACCOUNT: Final = "-"
Entries = list[dict[str, Any]]


def crossed(folder: Path, accounted: bool) -> dict[str, Any]:
    """Everything that went up and down, counted in the logs.

    Args:
        folder: the run folder.
        accounted: whether what is computed from a teacher is covered by a guarantee.

    Returns:
        ``audit``, ``fields`` (what an accepted message holds; together all accepted bytes),
        ``up``, ``rejected``, ``errors`` and ``down``. Where a chain is broken or the sides
        disagree, ``audit`` says so and the numbers are those of the logs as they are.
    """
    terms = Terms.read(folder / "terms.json")
    served = _served(folder)
    try:
        server = verified(folder / "audit" / "server.jsonl", served.get("audit_head"))
        clients = [
            entry
            for path in sorted((folder / "audit").glob("client-*.jsonl"))
            for entry in verified(path)
        ]
    except (CheckFailed, OSError) as broken:
        return {"audit": {"chains": str(broken)}, "fields": [], "up": {}, "down": []}
    up = [entry for entry in server if entry["direction"] == "up"]
    taken = [entry for entry in up if entry["verdict"] == Reason.accepted.name]
    return {
        "audit": {
            "chains": "verified",
            "head": served.get("audit_head"),
            "sides": _sides(server, clients),
        },
        "fields": [
            row
            for schema in (terms.schema, KEYS)
            for row in _counted(terms, accounted, schema, taken)
        ],
        "up": {
            "messages": len(taken),
            "bytes": sum(entry["bytes"] for entry in taken),
            "clients": len({entry["client"] for entry in taken}),
            "envelope_bytes": served.get("envelope_up"),
        },
        "errors": "one of a closed list of words; no text",
        "rejected": _rejected(up),
        "down": _down(clients),
    }


def _served(folder: Path) -> dict[str, Any]:
    path = folder / "checkpoint" / "server.json"
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def _sides(server: Entries, clients: Entries) -> str:
    if ghosts := len(released(server) - released(clients)):
        return f"disagree: {ghosts} release(s) that no client logged"
    return "agree"


def _rejected(up: Entries) -> dict[str, int]:
    verdicts = (entry["verdict"] for entry in up if entry["verdict"] != Reason.accepted.name)
    return dict(sorted(Counter(verdicts).items()))


def _down(clients: Entries) -> list[dict[str, Any]]:
    """What clients were asked and told, beside the transfer texts."""
    names = {CONSENSUS: "consensus", MASKED: "lists of who adds up"}
    of: dict[str, Entries] = {}
    for entry in clients:
        if entry["direction"] == "down":
            of.setdefault(names.get(entry["schema"], "questions"), []).append(entry)
    return [
        {"what": what, "messages": len(told), "bytes": sum(entry["bytes"] for entry in told)}
        for what, told in sorted(of.items())
    ]


def _counted(terms: Terms, accounted: bool, schema: int, taken: Entries) -> list[dict[str, Any]]:
    """What accepted messages of a schema held, field by field; the largest where rounds differ."""
    made: dict[str, dict[str, Any]] = {}
    rounds = Counter(entry["round"] for entry in taken if entry["schema"] == schema)
    for server_round, count in sorted(rounds.items()):
        for row in fields(terms, accounted, server_round)[schema]:
            known = made.setdefault(row["field"], row | {"messages": 0, "bytes": 0})
            size = row["bytes_per_message"]
            known["messages"] += count
            known["bytes"] += count * size
            if size > known["bytes_per_message"]:
                known |= {"shape": row["shape"], "bytes_per_message": size}
    return list(made.values())


def fields(terms: Terms, accounted: bool, server_round: int) -> dict[int, list[dict[str, Any]]]:
    """By schema, what one message holds; its bytes add up to the only length it can have."""
    yes = "yes" if accounted else "no"
    head = _row("header", "fixed", "-", HEADER.size, False, _NO_ACCOUNT)
    if terms.secure_sum is not None:
        columns = len(terms.labels) + EXTRA
        size = masked_length(terms.rows, len(terms.labels)) - HEADER.size
        words = _row("masked words", "uint32", f"{terms.rows} x {columns}", size, True, yes)
        key = _row("public key", "bytes", str(KEY_BYTES), KEY_BYTES, False, _NO_ACCOUNT)
        return {MASKED: [head, words], KEYS: [key]}
    return {terms.schema: [head, *_clear(terms.layout_of(server_round), yes)]}


def _clear(layout: Layout, yes: str) -> Iterator[dict[str, Any]]:
    codes = f"uint{layout.bits}"

    def row(name: str, count: int, shape: str, covered: str) -> dict[str, Any]:
        return _row(name, codes, shape, packed_length(count, layout.bits), True, covered)

    shape = f"{layout.rows} x {layout.classes}"
    yield row("predictions", layout.rows * layout.classes, shape, yes)
    if layout.flags & Flags.bias:
        yield row("bias", layout.classes, str(layout.classes), yes)
    if layout.flags & Flags.scalar:
        yield row("familiarity", layout.rows, str(layout.rows), "no")
    if layout.flags & Flags.num_examples:
        yield _row("num_examples", "uint32", "1", 4, True, "no")


def _row(
    name: str, kind: str, shape: str, size: int, derived: bool, account: str
) -> dict[str, Any]:
    return {
        "field": name,
        "type": kind,
        "shape": shape,
        "bytes_per_message": size,
        "client_derived": derived,
        "in_account": account,
    }
