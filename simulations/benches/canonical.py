"""What one canonical message is, said a second time: plain integers, no numpy, no shared code.

The fuzzer holds the decoder against this. It follows the layout on the wire word by word, and
is slow and short on purpose.
"""

import struct
from typing import Final

from common.records import Layout

HEADER: Final = 56
_EXTRAS: Final = (1, 2, 4)  # bias, scalar, number of examples


def header(layout: Layout, server_round: int, client: int) -> bytes:
    """The only 56 bytes with which a message to this question can begin."""
    shape = struct.pack("<IHH", layout.rows, layout.classes, 0)
    said = struct.pack("<HBBII", layout.schema, layout.bits, layout.flags, server_round, client)
    return b"FKN1" + said + shape + layout.binding


def blocks(layout: Layout) -> list[tuple[int, int, int]]:
    """Of each block of codes: where it begins, how many codes it has, how many make a row.

    A row length of 0 says that the codes are free.
    """
    bias, scalar, _ = (bool(layout.flags & extra) for extra in _EXTRAS)
    sizes = [(layout.rows * layout.classes, layout.classes)]
    sizes += [(layout.classes, layout.classes)] * bias + [(layout.rows, 0)] * scalar
    made, start = [], HEADER
    for count, row in sizes:
        made.append((start, count, row))
        start += (count * layout.bits + 7) // 8
    return made


def length(layout: Layout) -> int:
    """Bytes of a message."""
    start, count, _ = blocks(layout)[-1]
    return start + (count * layout.bits + 7) // 8 + (4 if layout.flags & _EXTRAS[2] else 0)


def codes(data: bytes, start: int, count: int, bits: int) -> tuple[list[int], int]:
    """The codes of a block, least significant bits first, and what its padding bits hold."""
    number = int.from_bytes(data[start : start + (count * bits + 7) // 8], "little")
    mask = (1 << bits) - 1
    return [number >> (bits * place) & mask for place in range(count)], number >> (bits * count)


def fault(data: bytes, layout: Layout, server_round: int, client: int) -> str | None:
    """What keeps ``data`` from being a canonical message: length, header, padding or sum."""
    if len(data) != length(layout):
        return "length"
    if data[:HEADER] != header(layout, server_round, client):
        return "header"
    for start, count, row in blocks(layout):
        found, padding = codes(data, start, count, layout.bits)
        if padding:
            return "padding"
        top = (1 << layout.bits) - 1
        if row and any(sum(found[at : at + row]) != top for at in range(0, count, row)):
            return "sum"
    return None
