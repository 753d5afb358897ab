"""What a client kept of what the server said, where a round is about a part of the texts only."""

import numpy as np

from clients.store import Store
from clients.teachers import Inputs
from common.arrays import Floats, Ints
from common.asking import Asking
from common.messages import Consensus
from common.quantise import to_probs
from common.records import SERVER, decode
from common.terms import Terms

Told = tuple[Inputs, Floats]
"""Shared texts as a teacher reads them, and what the server says of each, (N, C)."""


def to_learn(store: Store, consensus: Consensus, said: Floats, shared: Inputs) -> Told:
    """What a teacher is to be refined with, where the server says something back.

    Where it speaks of a part of the texts, its bytes are kept, the first of a round for good.

    Args:
        store: of the client.
        consensus: that was taken.
        said: what it says, (N, C) or, of a part of the texts, (rows, C).
        shared: all shared texts, as the teacher reads them.
    """
    terms, server_round = store.terms(), consensus.question.round
    if terms.asking is None:
        return shared, said
    if store.consensus(server_round) is None:
        store.keep_consensus(server_round, consensus.payload)
    rows, known = heard(store, terms, terms.asking, server_round)
    return _chosen(shared, rows), known


def heard(store: Store, terms: Terms, asking: Asking, server_round: int) -> tuple[Ints, Floats]:
    """What the server said of the texts that the round before drew, as far as this client heard it.

    Only the newest word on a text counts: who missed it does not fall back on an older one, so that
    what clients know never contradicts what the server knows.

    Args:
        store: with every consensus that was taken.
        terms: of the run.
        asking: its plan.
        server_round: that is about to begin, from 2.

    Returns:
        Which texts, ascending, (n,), perhaps none; and what was said of them, (n, C), float64.
    """
    drawn = asking.drawn(server_round - 1)
    last = asking.last(server_round - 1)[drawn]
    rows, said = [drawn[:0]], [np.zeros((0, len(terms.labels)))]
    for number in np.unique(last).tolist():
        told = _told(store, terms, number + 1)
        if told is None:
            continue
        wanted = drawn[last == number]
        rows.append(wanted)
        said.append(told[np.searchsorted(asking.asked(number), wanted)])
    found = np.concatenate(rows)
    order = np.argsort(found)
    return found[order], np.concatenate(said)[order]


def _chosen(shared: Inputs, rows: Ints) -> Inputs:
    """Some of the shared texts, or of their features, as a teacher reads them."""
    if isinstance(shared, np.ndarray):
        return np.asarray(shared[rows])
    return tuple(shared[row] for row in rows.tolist())


def _told(store: Store, terms: Terms, server_round: int) -> Floats | None:
    """What was said before a round, (rows, C), float64; None if this client did not hear it."""
    payload, layout = store.consensus(server_round), terms.layout_down_of(server_round)
    if payload is None or layout is None:
        return None
    record = decode(payload, layout, server_round, SERVER)
    return to_probs(record.codes, layout.bits).astype(np.float64)
