"""Decoders and a gate with one check left out each: the fuzzer must find every one, by name."""

import struct
from collections.abc import Callable
from typing import Final, final

import numpy as np
from typing_extensions import override

from common.arrays import Ints
from common.reasons import Reason, Refused
from common.records import SUBCLASSES, Flags, Layout, Record, decode
from server.admission import Admission
from simulations.benches.canonical import HEADER, blocks, codes, header

Decoder = Callable[[bytes, Layout, int, int], Record]


def _trailing(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    return decode(data[: layout.length], layout, server_round, client)


def _padding(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    clean = bytearray(data)
    for start, count, _ in blocks(layout):
        end, used = divmod(start * 8 + count * layout.bits, 8)
        if used and end < len(clean):
            clean[end] &= (1 << used) - 1
    return decode(bytes(clean), layout, server_round, client)


def _sum(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    try:
        return decode(data, layout, server_round, client)
    except Refused as refusal:
        if refusal.reason is not Reason.wrong_sum:
            raise
    record, top = _read(data, layout, server_round, client), 2**layout.bits - 1
    rows = record.codes if record.bias is None else np.vstack([record.codes, record.bias])
    if np.any(np.abs(rows.sum(axis=1, dtype=np.int64) - top) > 1):
        raise Refused(Reason.wrong_sum)
    return record


def _binding(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    return decode(_under(data, layout.binding, HEADER - 32), layout, server_round, client)


def _round(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    return decode(_under(data, struct.pack("<I", server_round), 8), layout, server_round, client)


def _client(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    return decode(_under(data, struct.pack("<I", client), 12), layout, server_round, client)


def _spare(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    return decode(_under(data, bytes(2), 22), layout, server_round, client)


def _schema(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    said = struct.pack("<H", layout.schema) if layout.schema == SUBCLASSES else b""
    return decode(_under(data, said, 4), layout, server_round, client)


def _labels(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    """Sums what stands for a label, and takes any share of a label that it finds."""
    try:
        return decode(data, layout, server_round, client)
    except Refused as refusal:
        if refusal.reason is not Reason.wrong_sum or layout.schema != SUBCLASSES:
            raise
    record, top = _read(data, layout, server_round, client), 2**layout.bits - 1
    rows = record.codes if record.bias is None else np.vstack([record.codes, record.bias])
    if np.any(rows[:, :: layout.subclasses].sum(axis=1, dtype=np.int64) > top):
        raise Refused(Reason.wrong_sum)
    return record


def _header(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    good = header(layout, server_round, client)
    return decode(_under(data, good, 0), layout, server_round, client)


def _short(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    struct.unpack_from("<I", data, HEADER - 4)
    return decode(data, layout, server_round, client)


def _strict(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    record = decode(data, layout, server_round, client)
    if record.codes.max() == 2**layout.bits - 1:
        raise Refused(Reason.wrong_sum)
    return record


def _under(data: bytes, good: bytes, start: int) -> bytes:
    """The message with ``good`` in the place of what it says there."""
    return data[:start] + good + data[start + len(good) :] if len(data) > start else data


def _read(data: bytes, layout: Layout, server_round: int, client: int) -> Record:
    """All that a message of the right length says, unchecked."""
    found: list[Ints] = [
        np.array(codes(data, start, count, layout.bits)[0], dtype=np.uint16)
        for start, count, _ in blocks(layout)
    ]
    rest = iter(found[1:])
    return Record(
        server_round,
        client,
        found[0].reshape(layout.rows, layout.classes),
        next(rest) if layout.flags & Flags.bias else None,
        next(rest) if layout.flags & Flags.scalar else None,
        struct.unpack("<I", data[-4:])[0] if layout.flags & Flags.num_examples else None,
    )


@final
class _Forgetful(Admission):
    @override
    def admit(self, client: int, payload: bytes) -> Reason:
        self.admitted.pop(client, None)
        return super().admit(client, payload)


# What is wrong with it: the decoder or the gate, and the rule by which it must be found.
WEAKENED: Final[dict[str, tuple[Decoder | type[Admission], str]]] = {
    "takes a second answer": (_Forgetful, "gate"),
    "ignores trailing bytes": (_trailing, "accepted: length"),
    "ignores padding bits": (_padding, "accepted: padding"),
    "accepts a code sum off by one": (_sum, "accepted: sum"),
    "skips the binding": (_binding, "accepted: header"),
    "skips the round": (_round, "accepted: header"),
    "skips the client": (_client, "accepted: header"),
    "ignores the spare bytes": (_spare, "accepted: header"),
    "takes labels for subclasses": (_schema, "accepted: header"),
    "sums some subclasses only": (_labels, "accepted: sum"),
    "trusts any header": (_header, "accepted: header"),
    "parses before it measures": (_short, "raised: error"),
    "refuses certain teachers": (_strict, "refused: good"),
}
