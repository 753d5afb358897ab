"""The one byte string in which predictions cross the wire, up or down.

Little-endian: magic "FKN1", schema u16, bits u8, flags u8, round u32, client u32, rows
u32, classes u16, two zero bytes, 32 bytes of binding; then rows x classes codes; then,
where the flags say so, one more row of codes (the bias), one code per row (a declared
per-sample scalar) and a u32 (the number of examples). Each block of codes is padded with
zero bits to a whole byte. There is exactly one byte string for one content.

Schema 1 is what a client says. Schema 2 is the same with pseudo-subclasses: ``classes`` is the
number of labels times the number of subclasses (:mod:`common.subclasses`). Schema 4 is what the
server says of the same texts before it asks again: the same layout without extras, from the
client :data:`SERVER`.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntFlag
from functools import cached_property

import numpy as np

from common.arrays import Ints
from common.quantise import BITS, pack, packed_length, unpack
from common.reasons import Reason, Refused

MAGIC = b"FKN1"
PREDICTIONS = 1
SUBCLASSES = 2
CONSENSUS = 4
SERVER = 0xFFFFFFFF
"""Stands where the client's id does, in what the server says."""
HEADER = struct.Struct("<4sHBBIIIH2x32s")


class Flags(IntFlag):
    """Which declared extras follow the predictions."""

    none = 0
    bias = 1
    scalar = 2
    num_examples = 4


DISCLOSURES = {
    "bias": Flags.bias,
    "familiarity": Flags.scalar,
    "num_examples": Flags.num_examples,
}
"""The declared extras by the names under which terms and experiments know them."""


def flags_of(disclosed: Iterable[str]) -> Flags:
    """The flags of a record with these declared extras."""
    flags = Flags.none
    for name in disclosed:
        flags |= DISCLOSURES[name]
    return flags


@dataclass(frozen=True)
class Layout:
    """What one record of this run must look like; agreed before anything is trained.

    Attributes:
        rows: N, the size of the transfer set, or of the part of it that a round asks about.
        classes: C, times S where there are pseudo-subclasses.
        bits: width of a code.
        flags: which extras are declared.
        binding: 32 bytes that tie a record to run, transfer set, blanks, classes, schema.
        schema: the number of the record layout.
        subclasses: S, 1 in all schemas but :data:`SUBCLASSES`.
    """

    rows: int
    classes: int
    bits: int
    flags: Flags
    binding: bytes
    schema: int = PREDICTIONS
    subclasses: int = 1

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise ValueError(f"bits must be one of {BITS}, got {self.bits}")
        if len(self.binding) != 32:
            raise ValueError("the binding is a SHA-256, 32 bytes")

    @cached_property
    def length(self) -> int:
        """The only length, in bytes, that a record of this layout can have."""
        blocks = packed_length(self.rows * self.classes, self.bits)
        if self.flags & Flags.bias:
            blocks += packed_length(self.classes, self.bits)
        if self.flags & Flags.scalar:
            blocks += packed_length(self.rows, self.bits)
        return HEADER.size + blocks + (4 if self.flags & Flags.num_examples else 0)

    @cached_property
    def extras(self) -> tuple[bool, bool, bool]:
        """Whether there are a bias, a scalar and a number of examples; sets of flags are slow."""
        declared = (Flags.bias, Flags.scalar, Flags.num_examples)
        bias, scalar, size = (bool(self.flags & flag) for flag in declared)
        return bias, scalar, size


@dataclass(frozen=True, eq=False)
class Record:
    """What a client says, as integers.

    Attributes:
        round: 1 for the first round.
        client: the client's id, the same from round to round; :data:`SERVER` for the server.
        codes: shape (N, C), each row summing to ``2**bits - 1``.
        bias: shape (C,), or None.
        scalar: shape (N,), or None.
        num_examples: or None.
    """

    round: int
    client: int
    codes: Ints
    bias: Ints | None = None
    scalar: Ints | None = None
    num_examples: int | None = None

    def about(self, rows: Ints) -> "Record":
        """What is said of some of the texts; the bias and the number of examples stay."""
        scalar = None if self.scalar is None else self.scalar[rows]
        return replace(self, codes=self.codes[rows], scalar=scalar)


def encode(record: Record, layout: Layout) -> bytes:
    """The canonical bytes of a record.

    Raises:
        ValueError: the record does not have the parts and shapes that the layout declares.
    """
    if record.codes.shape != (layout.rows, layout.classes):
        raise ValueError(f"codes have shape {record.codes.shape}")
    extras = (record.bias is not None) * Flags.bias | (record.scalar is not None) * Flags.scalar
    extras |= (record.num_examples is not None) * Flags.num_examples
    if extras != layout.flags:
        raise ValueError("the record does not hold exactly the declared extras")
    parts = [_header(layout, record.round, record.client), pack(record.codes, layout.bits)]
    parts += [pack(x, layout.bits) for x in (record.bias, record.scalar) if x is not None]
    if record.num_examples is not None:
        parts.append(struct.pack("<I", record.num_examples))
    made = b"".join(parts)
    if len(made) != layout.length:
        raise ValueError("the bias or the scalar has another shape than the layout declares")
    return made


def decode(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    """The record in ``data``, if it is the canonical form of what was asked for.

    Sizes are compared before anything is parsed, so the work is bounded by the layout
    and not by the message.

    Raises:
        Refused: with the reason code; nothing of the data is kept.
    """
    if len(data) > layout.length:
        raise Refused(Reason.too_large)
    if len(data) != layout.length:
        raise Refused(Reason.wrong_length)
    _check_header(data, layout, server_round, client)
    record = _parse(data[HEADER.size :], layout, server_round, client)
    if not (_sums_up(record.codes, layout) and _sums_up(record.bias, layout)):
        raise Refused(Reason.wrong_sum)
    return record


def renewed(data: bytes, layout: Layout, before: int, server_round: int, client: int) -> bytes:
    """What a client said in one round, in the canonical form of another.

    Args:
        data: of the round ``before``.
        layout: the same in both.
        before: the round of ``data``.
        server_round: of what is made.
        client: whose both are.

    Raises:
        Refused: ``data`` is not canonical.
    """
    if data[: HEADER.size] != _header(layout, before, client):
        raise Refused(Reason.not_canonical)
    made = _header(layout, server_round, client) + data[HEADER.size :]
    decode(made, layout, server_round, client)
    return made


def _header(layout: Layout, server_round: int, client: int) -> bytes:
    return HEADER.pack(
        MAGIC,
        layout.schema,
        layout.bits,
        int(layout.flags),
        server_round,
        client,
        layout.rows,
        layout.classes,
        layout.binding,
    )


def _check_header(data: bytes, layout: Layout, server_round: int, client: int) -> None:
    if data[: HEADER.size] == _header(layout, server_round, client):
        return
    magic, schema, _, _, said_round, said_client, _, _, binding = HEADER.unpack_from(data)
    if (magic, schema) != (MAGIC, layout.schema):
        raise Refused(Reason.wrong_field)
    if binding != layout.binding:
        raise Refused(Reason.wrong_binding)
    if said_round != server_round:
        raise Refused(Reason.wrong_round)
    if said_client != client:
        raise Refused(Reason.wrong_client)
    raise Refused(Reason.not_canonical)


def _sums_up(block: Ints | None, layout: Layout) -> bool:
    """Whether every row is what a distribution has to be; so is nothing at all."""
    if block is None:
        return True
    sums = np.add.reduce(block, axis=-1, dtype=np.int64)  # ndarray.sum, without a call in between
    return not np.count_nonzero(sums != 2**layout.bits - 1)


def _parse(body: bytes, layout: Layout, server_round: int, client: int) -> Record:
    """Cut the blocks that the layout declares out of a body of the right length."""
    cursor = 0

    def take(count: int) -> Ints:
        nonlocal cursor
        start, cursor = cursor, cursor + packed_length(count, layout.bits)
        try:
            return unpack(body[start:cursor], count, layout.bits)
        except ValueError as error:
            raise Refused(Reason.not_canonical) from error

    codes = take(layout.rows * layout.classes).reshape(layout.rows, layout.classes)
    bias, scalar, size = layout.extras
    return Record(
        server_round,
        client,
        codes,
        take(layout.classes) if bias else None,
        take(layout.rows) if scalar else None,
        struct.unpack_from("<I", body, cursor)[0] if size else None,
    )
