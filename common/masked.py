"""The byte string in which a masked contribution crosses the wire: schema 3.

The header is that of every record (:mod:`common.records`), with 32 bits, no flags and, as
binding, the context of the roster; then N x (C + 2) words of 32 bits, little-endian, row-major:
for each text C of weight times value, the weight, the count. Any words will do, for masked ones
look like noise.
"""

from dataclasses import dataclass

import numpy as np

from common.fixed_point import EXTRA, Words
from common.reasons import Reason, Refused
from common.records import HEADER, MAGIC
from common.rosters import MASKED

_BITS = 32


@dataclass(frozen=True)
class MaskedLayout:
    """What a masked record of this attempt must look like.

    Attributes:
        rows: N, the size of the transfer set.
        classes: C.
        binding: the context of the roster.
        round: of the attempt.
    """

    rows: int
    classes: int
    binding: bytes
    round: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the words, (N, C + 2)."""
        return self.rows, self.classes + EXTRA

    @property
    def length(self) -> int:
        """The only length, in bytes, that a record of this layout can have."""
        return masked_length(self.rows, self.classes)


def masked_length(rows: int, classes: int) -> int:
    """Bytes of a masked record of N = ``rows`` and C = ``classes``."""
    return HEADER.size + 4 * rows * (classes + EXTRA)


def encode_masked(words: Words, layout: MaskedLayout, client: int) -> bytes:
    """The canonical bytes of masked words, (N, C + 2)."""
    if words.shape != layout.shape:
        raise ValueError(f"words have shape {words.shape}")
    return _header(layout, client) + np.ascontiguousarray(words, dtype="<u4").tobytes()


def decode_masked(data: bytes, layout: MaskedLayout, client: int) -> Words:
    """The masked words in ``data``, (N, C + 2), if they are of this attempt and client.

    Raises:
        Refused: with the reason code.
    """
    if len(data) > layout.length:
        raise Refused(Reason.too_large)
    if len(data) != layout.length:
        raise Refused(Reason.wrong_length)
    _check_header(data, layout, client)
    return np.frombuffer(data, "<u4", offset=HEADER.size).reshape(layout.shape).astype(np.uint32)


def _header(layout: MaskedLayout, client: int) -> bytes:
    return HEADER.pack(
        MAGIC,
        MASKED,
        _BITS,
        0,
        layout.round,
        client,
        layout.rows,
        layout.classes,
        layout.binding,
    )


def _check_header(data: bytes, layout: MaskedLayout, client: int) -> None:
    magic, schema, _, _, said_round, said_client, _, _, binding = HEADER.unpack_from(data)
    if (magic, schema) != (MAGIC, MASKED):
        raise Refused(Reason.wrong_field)
    if binding != layout.binding:
        raise Refused(Reason.wrong_binding)
    if said_round != layout.round:
        raise Refused(Reason.wrong_round)
    if said_client != client:
        raise Refused(Reason.wrong_client)
    if data[: HEADER.size] != _header(layout, client):
        raise Refused(Reason.not_canonical)
