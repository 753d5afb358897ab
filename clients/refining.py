"""What a client makes of what the server says back: is it as agreed, and where to go on."""

from typing import Any

import numpy as np

from clients.store import Store
from common.arrays import Floats
from common.messages import Consensus
from common.quantise import to_probs
from common.reasons import Reason, Refused
from common.records import SERVER, decode
from common.terms import Terms


def judged(terms: Terms, consensus: Consensus) -> tuple[Reason, Floats | None]:
    """Whether the server means what this client agreed to, and what it says if so.

    The server is trusted no more than a client is: its bytes must be the one canonical form of
    what the client itself expects, for this run, these texts and this round.

    Returns:
        The verdict; and the consensus of shape (N, C), float64, or None if it is not taken; of the
        texts that the round before asked about.
    """
    question = consensus.question
    if question.binding != terms.binding:
        return Reason.wrong_binding, None
    if terms.layout_down is None or question.schema != terms.layout_down.schema:
        return Reason.wrong_field, None
    if not 2 <= question.round <= terms.num_rounds:
        return Reason.wrong_round, None
    layout = terms.layout_down_of(question.round)
    assert layout is not None, "something goes down in this run"
    try:
        record = decode(consensus.payload, layout, question.round, SERVER)
    except Refused as refusal:
        return refusal.reason, None
    return Reason.accepted, to_probs(record.codes, layout.bits).astype(np.float64)


def newest_teacher(store: Store, until: int) -> dict[str, Any]:
    """The tensors of the newest undamaged teacher of round ``until`` or before.

    Raises:
        Refused: there is none.
    """
    known = [1] if until <= 1 else [n for n in store.teacher_rounds() if n <= until]
    for number in reversed(known):
        if (tensors := store.teacher(number)) is not None:
            return tensors
        if number > 1:
            store.note(f"the teacher of round {number} is damaged; the one before is used\n")
    raise Refused(Reason.refused)
