"""``fedknot inspect``: what crossed the wire, and whether both sides' logs agree on it."""

from pathlib import Path
from typing import Any

import numpy as np

from common.audit import released, verified
from common.failures import CheckFailed, ConfigError, FolderError
from common.files import read_json, read_lines
from common.messages import sha256
from common.quantise import to_probs
from common.reasons import Reason, Refused
from common.records import CONSENSUS, decode
from common.rosters import KEYS
from common.terms import Terms
from simulations.delta_coding import coded
from simulations.folder import refuse_later


def inspect(folder: Path, client: int | None, server_round: int | None) -> dict[str, Any]:
    """The verified logs and the releases of a run, decoded.

    Args:
        folder: the run folder.
        client: only this client's messages, or None.
        server_round: only this round's, or None.

    Raises:
        FolderError: it is not a run folder, or one of a later version.
        CheckFailed: a chain is broken, or the two sides or the kept bytes disagree.
    """
    refuse_later(folder)
    try:
        terms = Terms.read(folder / "terms.json")
        server = verified(folder / "audit" / "server.jsonl", _head(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(f"{folder} is not a run folder; give the folder of a run") from error
    clients = [e for p in sorted((folder / "audit").glob("client-*.jsonl")) for e in verified(p)]
    if ghosts := released(server) - released(clients):
        raise CheckFailed(f"the server logged {len(ghosts)} release(s) that no client logged")
    # What is said in a round that was begun anew was logged in a line that was put aside.
    aside = folder / "audit" / "server-cut.jsonl"
    said = _told(server) | _told(read_lines(aside) if aside.exists() else [])
    if unheard := _told(clients) - said:
        raise CheckFailed(f"clients took {len(unheard)} consensus(es) that no server logged")
    rows = [_row(folder, terms, entry) for entry in server if entry["direction"] == "up"]
    chosen = [
        row
        for row in rows
        if client in (None, row["client"]) and server_round in (None, row["round"])
    ]
    if rows and not chosen:
        one = f"client {client}" if client is not None else "any client"
        when = f"round {server_round}" if server_round is not None else "any round"
        raise ConfigError(f"no message of {one} in {when} reached the gate; leave the choice out")
    return {
        "run": terms.run,
        "chains": "verified",
        "log_lines": {"server": len(server), "clients": len(clients)},
        "sides_agree": released(server) == released(clients),
        "fields": _fields(terms),
        "consensus": [entry for entry in server if entry["schema"] == CONSENSUS],
        "messages": chosen,
        "coded": _coded(folder, terms, client, server_round),
    }


def _coded(
    folder: Path, terms: Terms, client: int | None, server_round: int | None
) -> list[dict[str, Any]]:
    """What a coder would have sent."""
    clients = range(terms.num_clients) if client is None else (client,)
    try:
        rows = coded(folder, terms, clients)
    except (OSError, Refused) as error:
        raise CheckFailed("a message in releases/ is damaged") from error
    return [row for row in rows if server_round in (None, row["round"])]


def _told(entries: list[dict[str, Any]]) -> set[tuple[int, int, str]]:
    """The (round, client, sha256) of everything that the server said back and that was taken."""
    return {
        (e["round"], e["client"], e["sha256"])
        for e in entries
        if e["schema"] == CONSENSUS and e["verdict"] == Reason.accepted.name
    }


def _head(folder: Path) -> str | None:
    """The end of the server's log, if the run has come that far; the first versions kept none."""
    path = folder / "checkpoint" / "server.json"
    found = read_json(path) if path.exists() else {}
    return str(found["audit_head"]) if "audit_head" in found else None


def table(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    made = [f"run {found['run']}: audit chains {found['chains']}"]
    agree = "agree" if found["sides_agree"] else "differ on releases that were not accepted"
    made.append(f"both sides' logs {agree}: {found['log_lines']}")
    made += ["", "client -> server, one byte string per client and round:"]
    made += [f"  {name:14}{about}" for name, about in found["fields"].items()]
    if told := found["consensus"]:
        sizes = f"{len(told)} byte strings, {sum(entry['bytes'] for entry in told):,} bytes"
        made += ["", f"server -> client, before every round but the first: {sizes}"]
    if found["coded"]:
        made += ["", "bytes of a message, and what a coder would have sent (none is used):"]
        made += ["round     sent  entropy coded  delta coded"]
        made += [_coded_line(row) for row in found["coded"]]
    made += ["", "round  client    bytes  verdict       entropy  sha256"]
    for m in found["messages"]:
        entropy = "" if m["mean_entropy"] is None else f"{m['mean_entropy']:.3f}"
        made.append(
            f"{m['round']:5}{m['client']:8}{m['bytes']:9}  {m['verdict']:12}{entropy:>9}"
            f"  {m['sha256'][:16]}"
        )
    return made


def _coded_line(row: dict[str, Any]) -> str:
    spread = f"({row['least']} to {row['largest']})"
    return (
        f"{row['round']:5}{row['plain']:9.0f}{row['entropy_coded']:15.0f}"
        f"{row['delta_coded']:13.0f} {spread}"
    )


def _fields(terms: Terms) -> dict[str, str]:
    layout = terms.layout
    if terms.secure is not None:
        return {
            "header": "56 bytes: magic, schema, bits, flags, round, client, rows, classes, binding",
            "masked words": f"{layout.rows} x {layout.classes + 2} of 32 bits, noise one by one",
            "public key": "32 bytes, before them",
        }
    rows = str(layout.rows)
    if terms.asking is not None:
        rows = f"up to {len(terms.asking.drawn(1))} of {rows}"
    made = {
        "header": "56 bytes: magic, schema, bits, flags, round, client, rows, classes, binding",
        "predictions": f"{rows} x {layout.classes} codes of {layout.bits} bits",
    }
    if "bias" in terms.disclosed:
        what = "mean prediction" if terms.bias == "mean" else "how often each label wins"
        made["bias"] = f"{layout.classes} codes: {what} on the '{terms.blanks}' texts"
    if "familiarity" in terms.disclosed:
        made["familiarity"] = f"{rows} codes: distance of each text to the client's own"
    if "num_examples" in terms.disclosed:
        made["num_examples"] = "4 bytes"
    return made


def _row(folder: Path, terms: Terms, entry: dict[str, Any]) -> dict[str, Any]:
    row = {k: entry[k] for k in ("round", "client", "bytes", "verdict", "sha256", "attempts")}
    row["mean_entropy"] = None
    if entry["verdict"] != "accepted" or entry["schema"] == KEYS:
        return row
    path = folder / "releases" / str(entry["round"]) / f"{entry['client']}.bin"
    try:
        payload = path.read_bytes()
        if sha256(payload) != entry["sha256"]:
            raise Refused(Reason.refused)
        if terms.secure is not None:
            return row  # nobody can look into it
        layout = terms.layout_of(entry["round"])
        record = decode(payload, layout, entry["round"], entry["client"])
    except (OSError, Refused) as error:
        raise CheckFailed(f"releases/{entry['round']}/{path.name} is missing or damaged") from error
    probs = to_probs(record.codes, terms.bits).astype(np.float64)
    if layout.rows == 0:  # all was known already
        return row
    entropy = -(probs * np.log(np.maximum(probs, 1e-300))).sum(axis=1).mean()
    row["mean_entropy"] = round(float(entropy), 6)
    return row
