"""The last look at what is to leave: the decoder that the server judges by must take it.

A fault in how a client speaks is found here, before a release is kept; nothing of it leaves.
"""

from common.fixed_point import Words
from common.masked import MaskedLayout, decode_masked, encode_masked
from common.reasons import Refused
from common.records import Layout, Record, decode, encode


def sealed(record: Record, layout: Layout, server_round: int, client: int) -> bytes:
    """The canonical bytes of a record, which are what was asked for.

    Args:
        record: what is to be said.
        layout: the agreed one.
        server_round: of the question.
        client: who was asked.

    Raises:
        ValueError: they are not; the message holds a reason code, and no value.
    """
    payload = encode(record, layout)
    try:
        decode(payload, layout, server_round, client)
    except Refused as refusal:
        raise _unfit(refusal) from None
    return payload


def sealed_masked(words: Words, layout: MaskedLayout, client: int) -> bytes:
    """The canonical bytes of masked words (N, C + 2); otherwise as :func:`sealed`."""
    payload = encode_masked(words, layout, client)
    try:
        decode_masked(payload, layout, client)
    except Refused as refusal:
        raise _unfit(refusal) from None
    return payload


def _unfit(refusal: Refused) -> ValueError:
    return ValueError(f"what was to leave is not as agreed: {refusal.reason.name}")
