"""What goes down, for the fuzzer: the consensus before a round, and the lists of secure sums."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Final, final

import numpy as np
from typing_extensions import override

from clients.refining import judged
from common.arrays import Floats
from common.messages import Consensus, Question
from common.quantise import BITS, to_codes
from common.reasons import Reason, Refused
from common.records import CONSENSUS, SERVER, Record, encode
from common.rosters import Roster
from common.terms import Terms
from simulations.benches.canonical import fault
from simulations.benches.mutations import CLIENTS, MUTATIONS, ROUND, world_of
from simulations.benches.streams import Judge, Scene, scene

ConsensusReader = Callable[[Terms, Consensus], tuple[Reason, Floats | None]]
RosterReader = Callable[[bytes], Roster]

_HEAD: Final = 52
_MEMBER: Final = 36


def terms(rng: np.random.Generator, bits_down: int = 4) -> Terms:
    """Of a small run in which the server says something back, and answers are summed masked."""
    points, cost = [[0.0], [1.0], [2.0]], [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
    return Terms(
        run=rng.bytes(16).hex(),
        site="00",
        num_rounds=3,
        num_clients=max(CLIENTS) + 1,
        k_min=2,
        labels=("negative", "neutral", "positive"),
        points=points,
        cost=cost,
        rows=4,
        transfer_sha256=rng.bytes(32).hex(),
        blanks="random_tokens",
        blanks_sha256=rng.bytes(32).hex(),
        bits=8,
        disclosed=(),
        encoder={},
        bits_down=bits_down,
        secure_sum={"rule": "uniform", "crowd": 2},
    )


@final
class _Hearing(Judge):
    """A client that is told the consensus beside one question."""

    def __init__(self, agreed: Terms, question: Question, reader: ConsensusReader) -> None:
        self._terms, self._question, self._reader = agreed, question, reader

    @override
    def read(self, speaker: int, data: bytes) -> bytes:
        verdict, said = self._reader(self._terms, Consensus(self._question, data))
        if said is None:
            raise Refused(verdict)
        layout = self._terms.layout_down
        assert layout is not None, "something goes down in this run"
        codes = to_codes(said, layout.bits)
        return encode(Record(self._question.round, SERVER, codes), layout)

    @override
    def fault(self, speaker: int, data: bytes) -> str | None:
        layout = self._terms.layout_down
        assert layout is not None, "something goes down in this run"
        if self._question != Question(ROUND, CONSENSUS, self._terms.binding):
            return "question"
        return fault(data, layout, ROUND, SERVER)


def consensus(rng: np.random.Generator, reader: ConsensusReader = judged) -> list[Scene]:
    """All widths of codes; the question beside it is as agreed, or means something else."""
    return [made for bits in BITS for made in _consensus(rng, terms(rng, bits), reader)]


def _consensus(rng: np.random.Generator, agreed: Terms, reader: ConsensusReader) -> list[Scene]:
    layout = agreed.layout_down
    assert layout is not None, "something goes down in this run"
    world = world_of(rng, layout, (SERVER,))
    right = Question(ROUND, CONSENSUS, agreed.binding)
    wrong = [
        replace(right, round=1),
        replace(right, schema=1),
        replace(right, binding=rng.bytes(32)),
    ]
    hearing = [partial(_Hearing, agreed, asked, reader) for asked in (right, right, right, *wrong)]
    return [Scene(world.good, world.strays, judge, MUTATIONS, world) for judge in hearing]


@final
class _Listed(Judge):
    """A client that is sent a list."""

    def __init__(self, reader: RosterReader) -> None:
        self._reader = reader

    @override
    def read(self, speaker: int, data: bytes) -> bytes:
        return self._reader(data).payload

    @override
    def fault(self, speaker: int, data: bytes) -> str | None:
        if len(data) < _HEAD or (len(data) - _HEAD) % _MEMBER:
            return "length"
        if data[:8] != b"FKR1\x03\0\0\0":
            return "header"
        members = [data[at : at + _MEMBER] for at in range(_HEAD, len(data), _MEMBER)]
        if struct.unpack_from("<I", data, 16)[0] != len(members):
            return "count"
        ids = [int.from_bytes(member[:4], "little") for member in members]
        if any(before >= after for before, after in pairwise(ids)):
            return "order"
        return "keys" if len({member[4:] for member in members}) < len(members) else None


def rosters(rng: np.random.Generator, reader: RosterReader = Roster.read) -> list[Scene]:
    """Invitations and lists; among the strays lists out of order, and keys that come twice."""
    binding, keys = rng.bytes(32), [rng.bytes(32) for _ in CLIENTS]
    members = tuple(zip(CLIENTS, keys, strict=True))
    lists = [Roster(ROUND, a, binding, members[:size]) for a in (1, 2) for size in (0, 2, 3)]
    forged = [
        members[::-1],
        (members[0], *members),
        ((0, keys[0]), (1, keys[0]), (2, keys[2])),
        (members[1], members[0], members[2]),
    ]
    strays = [Roster(ROUND, 1, binding, those).payload for those in forged]
    strays += [b"FKN1" + made.payload[4:] for made in lists]
    return [scene({SERVER: [x.payload for x in lists]}, strays, lambda: _Listed(reader))]
