"""What a privacy report does not cover, as stores and logs of the run have it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.store import Store
from common.terms import Terms

_PRIVATE = 0o077
_MODEL = (
    "threat model: everybody who sees what crosses, the server included, and follows the protocol"
)
_TRUSTED = "threat model: who sees the student or what clients are told back; the server is trusted"
_LIES = "not covered: a client that lies, or that sends private data in place of predictions"


def limits(folder: Path, summary: Mapping[str, Any]) -> list[str]:
    """One line each.

    Args:
        folder: the run folder, served.
        summary: content of ``summary.json``.
    """
    terms = Terms.read(folder / "terms.json")
    stores = [Store(folder / "clients" / str(k)) for k in range(terms.num_clients)]
    there = [store for store in stores if store.root.is_dir()]
    promised = summary.get("privacy") or {}
    model = _TRUSTED if promised.get("unit") == "client" else _MODEL
    made = [model, _LIES, _pinned(folder, there), _vetted(terms, there), _users(there)]
    if not summary.get("isolated"):
        made.append("server and clients were one process: nothing about separation was tested")
    if summary.get("faults"):
        made.append("faults were injected: this run is a test of failures")
    return made


def _pinned(folder: Path, stores: Sequence[Store]) -> str:
    """Whether clients still hold the hash of the terms, which name the transfer set."""
    digest = hashlib.sha256((folder / "terms.json").read_bytes()).hexdigest()
    kept = sum(store.about().get("terms_sha256") == digest for store in stores)
    if stores and kept == len(stores):
        return f"the transfer set is pinned by its hash in the stores of all {kept} clients"
    return f"the transfer set is NOT pinned: {kept} of {len(stores)} stores hold its hash"


def _vetted(terms: Terms, stores: Sequence[Store]) -> str:
    """What clients thought of the texts before they trained."""
    known = [verdict for store in stores if (verdict := store.verdict()) is not None]
    mine = [v for v in known if v["sha256"] == terms.transfer_sha256]
    refused = sum(v["objection"] is not None for v in mine)
    return (
        f"{len(mine)} of {len(stores)} clients looked for probes and their own texts in it before "
        f"they trained; {refused} refused it"
    )


def _users(stores: Sequence[Store]) -> str:
    """Whether anything but manners keeps stores apart."""
    about = [store.root.stat() for store in stores]
    users, opened = len({s.st_uid for s in about}), sum(bool(s.st_mode & _PRIVATE) for s in about)
    if users > 1:
        return f"{users} users of this system own the clients' stores"
    made = "one user of one system owns all clients' stores, and can open all of them"
    return made if not opened else f"{made}; {opened} are open to other users as well"
