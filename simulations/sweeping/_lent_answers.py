"""What clients said of the shared texts in one cell, said again in another in its own envelope.

A release is bound to its run, so its bytes belong nowhere else. Its numbers follow from the
teacher, the shared texts, the blanks, the number of bits, and how a client puts it (its mechanism,
its subclasses); where all of that is the same, so are they. Which extras are declared hangs on the
weighting: what holds more extras serves a cell that declares fewer.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clients.store import Store
from common.arrays import Ints
from common.encoders._shelf import taken
from common.files import write_bytes
from common.reasons import Refused
from common.records import Flags, Record, decode, encode, flags_of
from common.terms import Terms

_PRIVATE = 0o600
_FIRST = 1  # a client without a refinement says the same in every round, and starts from the first


def lend_answers(store: Store, terms: Terms, shelf: Path) -> None:
    """Put what a client would say in the first round into its new store, if it is on the shelf.

    Args:
        store: of the client, provisioned, from which nothing was released yet.
        terms: of its run.
        shelf: of this client's teacher.
    """
    if terms.secure_sum is not None or (known := _kept(shelf / _name(terms))) is None:
        return
    layout = terms.layout_of(_FIRST)
    if not layout.flags & ~_flags(known):
        store.keep_release(_FIRST, encode(_declared(known, layout.flags, _id(store)), layout))


def keep_answers(store: Store, terms: Terms, shelf: Path) -> None:
    """Put what a client said in the first round on the shelf, unless as much is there."""
    if terms.secure_sum is not None:
        return
    try:
        payload = store.release(_FIRST)
        if payload is None:
            return
        said = decode(payload, terms.layout_of(_FIRST), _FIRST, _id(store))
    except Refused:
        return
    path = shelf / _name(terms)
    known = _kept(path)
    if known is None or _flags(said) & ~_flags(known):
        write_bytes(path, save(_arrays(said)), _PRIVATE)


def _id(store: Store) -> int:
    return int(store.about()["client"])


def _name(terms: Terms) -> str:
    """The file of what is said of these texts in this form."""
    texts = [terms.transfer_sha256, terms.blanks_sha256, terms.cache, terms.encoder]
    layout = terms.layout_of(_FIRST)
    form = [layout.rows, layout.classes, layout.bits, layout.schema, layout.subclasses]
    told = json.dumps([texts, form], sort_keys=True)
    return f"said-{hashlib.sha256(told.encode()).hexdigest()}.safetensors"


def _arrays(said: Record) -> dict[str, Ints]:
    arrays = {"codes": said.codes, "bias": said.bias, "scalar": said.scalar}
    if said.num_examples is not None:
        arrays["num_examples"] = np.array(said.num_examples, dtype=np.int64)
    return {name: array for name, array in arrays.items() if array is not None}


def _kept(path: Path) -> Record | None:
    """What lies on the shelf; nobody's and of no round."""
    try:
        arrays = load(taken(path))
    except (FileNotFoundError, SafetensorError):
        return None
    size = arrays.get("num_examples")
    many = None if size is None else int(size)
    return Record(_FIRST, 0, arrays["codes"], arrays.get("bias"), arrays.get("scalar"), many)


def _flags(said: Record) -> Flags:
    """Which extras there are."""
    there = {"bias": said.bias, "familiarity": said.scalar, "num_examples": said.num_examples}
    return flags_of(name for name, part in there.items() if part is not None)


def _declared(known: Record, flags: Flags, client: int) -> Record:
    """What one client says with these extras and no others."""
    return Record(
        _FIRST,
        client,
        known.codes,
        known.bias if flags & Flags.bias else None,
        known.scalar if flags & Flags.scalar else None,
        known.num_examples if flags & Flags.num_examples else None,
    )
