"""A server that chooses the shared texts before the run, and everybody who agrees to them."""

import dataclasses
import hashlib

from common.files import read_json, write_json
from common.terms import Terms
from common.transfer import TransferSet


def offer(folder, texts):
    """Give a provisioned folder other shared texts; every client pins the new terms."""
    shared = TransferSet(tuple(texts))
    shared.save(folder / "transfer.jsonl")
    path = folder / "terms.json"
    terms = Terms.read(path)
    dataclasses.replace(terms, transfer_sha256=shared.sha256, rows=len(shared)).save(path)
    pinned = hashlib.sha256(path.read_bytes()).hexdigest()
    for about in (folder / "clients").glob("*/client.json"):
        write_json(about, read_json(about) | {"terms_sha256": pinned}, 0o600)
