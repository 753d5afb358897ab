"""Damaged, forged and misplaced messages: what the fuzzer feeds the gate."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Protocol

import numpy as np

from common.arrays import Floats, Ints
from common.quantise import BITS, to_codes
from common.records import SERVER, SUBCLASSES, Flags, Layout, Record, encode
from common.subclasses import split_codes
from simulations.benches.canonical import HEADER, blocks

ROUND: Final = 2
CLIENTS: Final = (0, 1, 258)
STRANGER: Final = 7
_MOST_EXTRA = 300
# Where the header's fields are, and how they are packed.
_FIELDS: Final = (
    *((0, "<I"), (4, "<H"), (6, "<B"), (7, "<B"), (8, "<I"), (12, "<I")),
    *((16, "<I"), (20, "<H"), (22, "<H")),
)
_SHAPES: Final = (
    (5, 3, Flags.bias | Flags.scalar | Flags.num_examples),
    (3, 2, Flags.none),
    (4, 5, Flags.bias),
)
_SUBCLASSES: Final = 2  # S, in the worlds that have any


class Source(Protocol):
    """Where damages take other messages from."""

    @property
    def strays(self) -> list[bytes]:
        """Messages that belong elsewhere."""

    def any(self, rng: Random) -> bytes:
        """Any message of this round."""


@dataclass(frozen=True, eq=False)
class World:
    """One agreed layout, good messages of it, and messages that belong elsewhere.

    Attributes:
        layout: what was agreed on.
        good: of each client, messages of this round.
        strays: messages of another round, run, client or layout.
    """

    layout: Layout
    good: dict[int, list[bytes]]
    strays: list[bytes]

    def any(self, rng: Random) -> bytes:
        """Any message of this round."""
        return rng.choice(self.good[rng.choice([k for k in self.good if k != STRANGER])])


Plain = Callable[[Random, Source, bytes], bytes]
Mutation = Callable[[Random, World, bytes], bytes]


def worlds(seed: int) -> list[World]:
    """All widths of codes, with and without extras, with and without pseudo-subclasses."""
    rng = np.random.default_rng(seed)
    plain = [_world(rng, _layout(rng, bits, *shape)) for bits in BITS for shape in _SHAPES]
    return plain + [_world(rng, _refined(rng, bits)) for bits in BITS]


def world_of(rng: np.random.Generator, layout: Layout, speakers: tuple[int, ...]) -> World:
    """Good messages of ``speakers`` in a layout, and messages that belong elsewhere."""
    first = speakers[0]
    good = {k: [_message(rng, layout, ROUND, k) for _ in range(3)] for k in speakers}
    elsewhere = [
        replace(layout, binding=rng.bytes(32)),
        *(replace(layout, schema=x, subclasses=1) for x in (1, 2, 4) if x != layout.schema),
        replace(layout, rows=layout.classes, classes=layout.rows, subclasses=1),
        replace(layout, flags=Flags(7 - layout.flags)),
        *(replace(layout, bits=other) for other in BITS if other != layout.bits),
    ]
    strays = [_message(rng, layout, r, first) for r in (0, 1, 3, 2**32 - 1)]
    strays += [_message(rng, layout, ROUND, k) for k in (STRANGER, SERVER) if k != first]
    return World(layout, good, strays + [_message(rng, x, ROUND, first) for x in elsewhere])


def _layout(rng: np.random.Generator, bits: int, rows: int, classes: int, flags: Flags) -> Layout:
    return Layout(rows, classes, bits, flags, rng.bytes(32))


def _refined(rng: np.random.Generator, bits: int) -> Layout:
    """Three labels of two subclasses each."""
    flags, classes = Flags.bias | Flags.num_examples, 3 * _SUBCLASSES
    return Layout(4, classes, bits, flags, rng.bytes(32), SUBCLASSES, _SUBCLASSES)


def _world(rng: np.random.Generator, layout: Layout) -> World:
    return world_of(rng, layout, (*CLIENTS, STRANGER))


def _said(rng: np.random.Generator, layout: Layout) -> Ints:
    """Codes (N + 1, C * S) as clients make them; some rows are certain, as teachers' are."""
    count = layout.subclasses
    probs: Floats = rng.dirichlet(np.full(layout.classes // count, 0.5), size=layout.rows + 1)
    made = to_codes(probs, layout.bits)
    return made if count == 1 else split_codes(made, rng.random((*made.shape, count)))


def _message(rng: np.random.Generator, layout: Layout, server_round: int, client: int) -> bytes:
    """A good message."""
    made, bits = _said(rng, layout), layout.bits
    scalar = rng.integers(2**bits, size=layout.rows, dtype=np.uint16)
    parts = layout.flags
    record = Record(
        server_round,
        client,
        made[:-1],
        made[-1] if parts & Flags.bias else None,
        scalar if parts & Flags.scalar else None,
        int(rng.integers(2**32)) if parts & Flags.num_examples else None,
    )
    return encode(record, layout)


def _untouched(rng: Random, world: Source, good: bytes) -> bytes:
    return good


def _bits(rng: Random, world: Source, good: bytes) -> bytes:
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _bytes(rng: Random, world: Source, good: bytes) -> bytes:
    start = rng.randrange(len(good))
    new = rng.randbytes(rng.randint(1, 8))
    return (good[:start] + new + good[start + len(new) :])[: len(good)]


def _truncated(rng: Random, world: Source, good: bytes) -> bytes:
    return good[: rng.choice((rng.randrange(len(good)), len(good) - 1, HEADER, HEADER - 1))]


def _extended(rng: Random, world: Source, good: bytes) -> bytes:
    more = rng.randbytes(rng.randint(1, _MOST_EXTRA))
    return rng.choice((good + more, good + b"\0", good + good, more + good))


def _spliced(rng: Random, world: Source, good: bytes) -> bytes:
    other, cut = world.any(rng), rng.randrange(len(good))
    again = rng.choice((cut, rng.randrange(len(other))))
    return good[:cut] + other[again:]


def _moved(rng: Random, world: Source, good: bytes) -> bytes:
    """The same length: a few bytes left out in one place, others put in elsewhere."""
    out, into = rng.randrange(len(good)), rng.randrange(len(good))
    less = good[:out] + good[out + 1 :]
    return less[:into] + rng.randbytes(1) + less[into:]


def _header(rng: Random, world: Source, good: bytes) -> bytes:
    """One or two fields at their limits, or one off."""
    data = bytearray(good)
    for start, form in rng.sample(_FIELDS, rng.randint(1, 2)):
        top = 256 ** struct.calcsize(form) - 1
        now = struct.unpack_from(form, data, start)[0]
        new = rng.choice((0, 1, top, top >> 1, now ^ 1, now + 1, now - 1, rng.randint(0, top)))
        struct.pack_into(form, data, start, new & top)
    return bytes(data)


def _shape(rng: Random, world: World, good: bytes) -> bytes:
    """Rows, classes, bits and flags of another layout, and sometimes its length too."""
    rows = rng.choice((0, 1, 2**31, 2**32 - 1, rng.randint(0, 20)))
    classes = rng.choice((0, 1, 2**16 - 1, rng.randint(0, 20)))
    bits, flags = rng.choice((0, 3, 255, *BITS)), rng.choice((0, 7, 8, 255, rng.randint(0, 7)))
    data = bytearray(good)
    struct.pack_into("<BB", data, 6, bits, flags)
    struct.pack_into("<IH", data, 16, rows, classes)
    needed = min(HEADER + rows * classes * bits // 8, 4 * len(good))
    return bytes(data[:needed].ljust(needed, b"\0")) if rng.random() < 0.5 else bytes(data)


def _padding(rng: Random, world: World, good: bytes) -> bytes:
    """A bit beyond the last code of a block; the last bit of the message if there is none."""
    data, bits = bytearray(good), world.layout.bits
    ends = [
        (start + count * bits // 8, count * bits % 8) for start, count, _ in blocks(world.layout)
    ]
    spare = [(at, place) for at, used in ends if used for place in range(used, 8)]
    at, place = rng.choice(spare or [(len(data) - 1, 7)])
    data[at] ^= 1 << place
    return bytes(data)


def _codes(rng: Random, world: World, good: bytes, by: tuple[int, ...]) -> bytes:
    """Add ``by`` to that many random codes of one row, modulo the width."""
    bits = world.layout.bits
    start, count, row = rng.choice([block for block in blocks(world.layout) if block[2]])
    places = rng.sample(range(row), min(row, len(by)))
    first, size = rng.randrange(count // row) * row, (count * bits + 7) // 8
    number, mask = int.from_bytes(good[start : start + size], "little"), (1 << bits) - 1
    for place, step in zip(places, by, strict=False):
        shift = bits * (first + place)
        code = (number >> shift & mask) + step & mask
        number = number & ~(mask << shift) | code << shift
    return good[:start] + number.to_bytes(size, "little") + good[start + size :]


def _sum(rng: Random, world: World, good: bytes) -> bytes:
    return _codes(rng, world, good, (rng.choice((1, -1, rng.randint(1, 2**16))),))


def _mass(rng: Random, world: World, good: bytes) -> bytes:
    """From one label to another: good if no code wraps around."""
    return _codes(rng, world, good, (1, -1))


def _other(rng: Random, world: Source, good: bytes) -> bytes:
    return world.any(rng)


def _stray(rng: Random, world: Source, good: bytes) -> bytes:
    """Replays, other runs, other layouts: sometimes under the right header."""
    stray = rng.choice(world.strays)
    return good[:HEADER] + stray[HEADER:] if rng.random() < 0.3 else stray


def _binding(rng: Random, world: World, good: bytes) -> bytes:
    place = rng.randrange(HEADER - 32, HEADER)
    return good[:place] + bytes([good[place] ^ rng.randint(1, 255)]) + good[place + 1 :]


def _noise(rng: Random, world: Source, good: bytes) -> bytes:
    head = rng.choice((b"", good[:4], good[:HEADER]))
    size = rng.choice((len(good), rng.randrange(2 * len(good))))
    return head + rng.randbytes(max(0, size - len(head)))


PLAIN: Final[dict[str, Plain]] = {
    "untouched": _untouched,
    "bits": _bits,
    "bytes": _bytes,
    "truncated": _truncated,
    "extended": _extended,
    "spliced": _spliced,
    "moved": _moved,
    "header": _header,
    "other": _other,
    "stray": _stray,
    "noise": _noise,
}
"""Damages to any message of some length."""

MUTATIONS: Final[dict[str, Mutation]] = {
    **PLAIN,
    "shape": _shape,
    "padding": _padding,
    "sum": _sum,
    "mass": _mass,
    "binding": _binding,
}
"""Damages to a record of predictions."""
