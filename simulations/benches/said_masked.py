"""What comes up in secure sums, for the fuzzer: public keys, and masked words."""

import struct
from typing import Final, final

import numpy as np
from typing_extensions import override

from common.masked import MaskedLayout, encode_masked
from common.reasons import Reason, Refused
from common.rosters import MASKED, Roster
from server.secure_sum import SecureSum
from simulations.benches.canonical import HEADER
from simulations.benches.mutations import CLIENTS, ROUND, STRANGER
from simulations.benches.said_down import terms
from simulations.benches.streams import Judge, Scene, scene

_SPEAKERS: Final = (*CLIENTS, STRANGER)
_COLUMNS: Final = 5  # three labels, the weight, the count
_ROWS: Final = 4
_PRIME: Final = 2**255 - 19
_ORDER_EIGHT: Final = 325606250916557431795983626356110631294008115727848805560023387167927233504
_OTHER_ORDER_EIGHT: Final = (
    39382357235489614581723060781553021112529911719440698176882885853963445705823
)
_SMALL: Final = (0, 1, _PRIME - 1, _ORDER_EIGHT, _OTHER_ORDER_EIGHT)
"""Points with which every exchange gives zeros, of https://cr.yp.to/ecdh.html#validate."""


class _Once(Judge):
    """The first good message of everybody who is expected is taken, and no other."""

    def __init__(self) -> None:
        self._taken: dict[int, bytes] = {}

    @override
    def fault(self, speaker: int, data: bytes) -> str | None:
        if speaker not in CLIENTS:
            return "stranger"
        return "again" if speaker in self._taken else self._wrong(speaker, data)

    def _wrong(self, speaker: int, data: bytes) -> str | None:
        raise NotImplementedError

    @override
    def took(self, speaker: int, data: bytes) -> None:
        self._taken[speaker] = data


@final
class _Keys(_Once):
    """A gate whose list is open."""

    def __init__(self, gate: SecureSum) -> None:
        super().__init__()
        self._gate = gate

    @override
    def read(self, speaker: int, data: bytes) -> bytes:
        if (verdict := self._gate.admit_key(speaker, data)) is not Reason.accepted:
            raise Refused(verdict)
        return data

    @override
    def _wrong(self, speaker: int, data: bytes) -> str | None:
        if len(data) != 32:
            return "length"
        if int.from_bytes(data, "little") % 2**255 % _PRIME in _SMALL:
            return "small order"
        return "another's" if data in self._taken.values() else None


@final
class _Masked(_Once):
    """A gate whose list is closed."""

    def __init__(self, gate: SecureSum, roster: Roster) -> None:
        super().__init__()
        self._gate, self._context = gate, roster.context

    @override
    def read(self, speaker: int, data: bytes) -> bytes:
        if (verdict := self._gate.admit(speaker, data)) is not Reason.accepted:
            raise Refused(verdict)
        return self._gate.admitted[speaker]

    @override
    def _wrong(self, speaker: int, data: bytes) -> str | None:
        if len(data) != HEADER + 4 * _ROWS * _COLUMNS:
            return "length"
        said = struct.pack("<HBBII", MASKED, 32, 0, ROUND, speaker)
        shape = struct.pack("<IHH", _ROWS, _COLUMNS - 2, 0)
        return None if data[:HEADER] == b"FKN1" + said + shape + self._context else "header"


def keys(rng: np.random.Generator, gate: type[SecureSum] = SecureSum) -> list[Scene]:
    """Everybody names keys, a stranger too, and some name each other's."""
    agreed = terms(rng)
    good = {client: [rng.bytes(32) for _ in range(3)] for client in _SPEAKERS}
    strays = [rng.bytes(31), rng.bytes(33), rng.bytes(64), b"", bytes(32)]
    return [scene(good, strays, lambda: _Keys(gate(agreed, ROUND, CLIENTS, [])))]


def masked(rng: np.random.Generator, gate: type[SecureSum] = SecureSum) -> list[Scene]:
    """Masked words of one attempt; among the strays those of the next, and of other rounds."""
    agreed = terms(rng)
    first, second = (_listed(rng, agreed.binding, attempt) for attempt in (1, 2))
    good = {k: [_words(rng, first, k) for _ in range(3)] for k in _SPEAKERS}
    strays = [_words(rng, roster, k) for roster in (first, second) for k in _SPEAKERS]
    strays += [_words(rng, Roster(3, 1, agreed.binding, first.members), k) for k in CLIENTS]

    def closed() -> Judge:
        opened = gate(agreed, ROUND, CLIENTS, [])
        for client, key in first.members:
            opened.admit_key(client, key)
        assert opened.close() == first, "everybody has named a key"
        return _Masked(opened, first)

    return [scene(good, strays, closed)]


def _listed(rng: np.random.Generator, binding: bytes, attempt: int) -> Roster:
    return Roster(ROUND, attempt, binding, tuple((k, rng.bytes(32)) for k in CLIENTS))


def _words(rng: np.random.Generator, roster: Roster, client: int) -> bytes:
    layout = MaskedLayout(_ROWS, _COLUMNS - 2, roster.context, roster.round)
    words = rng.integers(2**32, size=layout.shape, dtype=np.uint32)
    return encode_masked(words, layout, client)
