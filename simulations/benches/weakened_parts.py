"""Readers of the consensus, of lists, keys and masked words with one check left out each."""

import struct
from collections.abc import Callable
from typing import Final, final

import numpy as np
from typing_extensions import override

from clients.refining import judged
from common.arrays import Floats
from common.messages import Consensus, Question
from common.reasons import Reason
from common.records import CONSENSUS
from common.rosters import KEY_BYTES, Roster
from common.terms import Terms
from server.secure_sum import SecureSum
from simulations.benches.canonical import HEADER
from simulations.benches.mutations import ROUND
from simulations.benches.said_down import consensus, rosters
from simulations.benches.said_masked import keys, masked
from simulations.benches.streams import Scene

Scenes = Callable[[np.random.Generator], list[Scene]]

KINDS: Final[dict[str, Scenes]] = {
    "consensus": consensus,
    "lists": rosters,
    "keys": keys,
    "masked words": masked,
}
"""Every kind of message but answers in clear, with its strict reader."""


def _any_question(agreed: Terms, said: Consensus) -> tuple[Reason, Floats | None]:
    return judged(agreed, Consensus(Question(ROUND, CONSENSUS, agreed.binding), said.payload))


def _cut(agreed: Terms, said: Consensus) -> tuple[Reason, Floats | None]:
    layout = agreed.layout_down
    assert layout is not None, "something goes down in this run"
    return judged(agreed, Consensus(said.question, said.payload[: layout.length]))


def _as_it_comes(data: bytes) -> Roster:
    """Members in any order."""
    strict = Roster.read(data[:16] + bytes(4) + data[20:52])
    members = tuple(struct.Struct("<I32s").iter_unpack(data[52:]))
    return Roster(strict.round, strict.attempt, strict.binding, members)


def _uncounted(data: bytes) -> Roster:
    count = max(0, len(data) - 52) // 36
    return Roster.read(data[:16] + struct.pack("<I", count) + data[20:])


@final
class _AnyLength(SecureSum):
    @override
    def admit_key(self, client: int, key: bytes) -> Reason:
        return super().admit_key(client, key[:KEY_BYTES].ljust(KEY_BYTES, b"\0"))


@final
class _NewKey(SecureSum):
    @override
    def admit_key(self, client: int, key: bytes) -> Reason:
        self._keys.pop(client, None)
        return super().admit_key(client, key)


@final
class _AnyAttempt(SecureSum):
    @override
    def admit(self, client: int, payload: bytes) -> Reason:
        assert self.roster is not None, "the list is closed"
        bound = payload[: HEADER - 32] + self.roster.context + payload[HEADER:]
        verdict = super().admit(client, bound)
        if verdict is Reason.accepted:
            self._admitted[client] = payload
        return verdict


@final
class _Twice(SecureSum):
    @override
    def admit(self, client: int, payload: bytes) -> Reason:
        self._admitted.pop(client, None)
        return super().admit(client, payload)


# What is wrong with it: messages with the weak reader, and the rule by which it must be found.
WEAK_PARTS: Final[dict[str, tuple[Scenes, str]]] = {
    "consensus: believes any question": (
        lambda rng: consensus(rng, _any_question),
        "accepted: question",
    ),
    "consensus: ignores trailing bytes": (lambda rng: consensus(rng, _cut), "accepted: length"),
    "lists: takes members in any order": (
        lambda rng: rosters(rng, _as_it_comes),
        "accepted: order",
    ),
    "lists: takes a key that comes twice": (
        lambda rng: rosters(rng, _as_it_comes),
        "accepted: keys",
    ),
    "lists: does not count": (lambda rng: rosters(rng, _uncounted), "accepted: count"),
    "keys: takes any length": (lambda rng: keys(rng, _AnyLength), "accepted: length"),
    "keys: takes another key later": (lambda rng: keys(rng, _NewKey), "accepted: again"),
    "masked words: of any attempt": (lambda rng: masked(rng, _AnyAttempt), "accepted: header"),
    "masked words: takes them twice": (lambda rng: masked(rng, _Twice), "accepted: again"),
}
