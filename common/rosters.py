"""Who takes part in one attempt at a secure sum: the list that goes down, as canonical bytes.

Without members it is the invitation to name a key. Little-endian: magic "FKR1", schema u16, two
zero bytes, round u32, attempt u32, members u32, 32 bytes of binding; then for each member, ids
ascending, its id u32 and its public key, 32 bytes.
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from common.messages import Question
from common.reasons import Reason, Refused

KEY_BYTES: Final = 32
MASKED: Final = 3
"""The schema of masked sums (``common/masked.py``)."""
KEYS: Final = 5
"""The schema under which both sides log public keys."""
ATTEMPTS: Final = 2
"""So often a round may be tried: an attempt that loses a party is given up, and made once more."""

_MAGIC = b"FKR1"
_HEAD = struct.Struct("<4sH2xIII32s")
_MEMBER = struct.Struct("<I32s")


@dataclass(frozen=True)
class Roster:
    """Who adds up.

    Attributes:
        round: 1 for the first round.
        attempt: 1 for the first one of the round.
        binding: 32 bytes, of the run's terms.
        members: id and public key of each, ids ascending; none in an invitation.
    """

    round: int
    attempt: int
    binding: bytes
    members: tuple[tuple[int, bytes], ...] = ()

    @cached_property
    def payload(self) -> bytes:
        """The canonical bytes, as sent and logged."""
        head = _HEAD.pack(_MAGIC, MASKED, self.round, self.attempt, len(self.members), self.binding)
        return head + b"".join(_MEMBER.pack(*member) for member in self.members)

    @cached_property
    def context(self) -> bytes:
        """SHA-256 over all of it: what every mask, and every masked record, is bound to.

        By the binding of the terms it covers run id, transfer set, blanks and class order too.
        """
        return hashlib.sha256(b"fedknot secure sum 1" + self.payload).digest()

    @property
    def clients(self) -> frozenset[int]:
        """The ids of the members."""
        return frozenset(client for client, _ in self.members)

    @property
    def keys(self) -> dict[int, bytes]:
        """The members' public keys."""
        return dict(self.members)

    @property
    def question(self) -> Question:
        """What every message to a node begins with."""
        return Question(self.round, MASKED, self.binding)

    @property
    def invitation(self) -> "Roster":
        """The same attempt before anybody has named a key."""
        return replace(self, members=())

    @classmethod
    def read(cls, data: bytes) -> "Roster":
        """The roster in its canonical bytes.

        Raises:
            Refused: they are not canonical, or ids do not ascend, or a key comes twice.
        """
        count, odd = divmod(len(data) - _HEAD.size, _MEMBER.size)
        if count < 0 or odd:
            raise Refused(Reason.wrong_length)
        magic, schema, server_round, attempt, said, binding = _HEAD.unpack_from(data)
        if (magic, schema) != (_MAGIC, MASKED):
            raise Refused(Reason.wrong_field)
        if said != count:
            raise Refused(Reason.not_canonical)
        members = tuple(_MEMBER.iter_unpack(data[_HEAD.size :]))
        ids, keys = [m[0] for m in members], {m[1] for m in members}
        made = cls(server_round, attempt, binding, members)
        if made.payload != data or ids != sorted(set(ids)) or len(keys) != count:
            raise Refused(Reason.not_canonical)
        return made


def hidden(lists: Iterable[Collection[int]], crowd: int) -> bool:
    """Whether no combination of the sums over these lists is about fewer than ``crowd`` clients.

    Clients that were in exactly the same lists cannot be told apart: whatever is added and
    subtracted holds all of them with one and the same factor. So it is enough that there are
    ``crowd`` of each such kind.
    """
    listed = [frozenset(clients) for clients in lists]
    everybody = frozenset[int]().union(*listed)
    kinds = Counter(_kind(client, listed) for client in everybody)
    return all(count >= crowd for count in kinds.values())


def choose(willing: Collection[int], earlier: Iterable[Collection[int]], crowd: int) -> set[int]:
    """The most of those willing whose sum may be formed beside the earlier ones.

    Where too few of a kind (see :func:`hidden`) would be left out or let in, some with the highest
    ids are left out too, or all.
    """
    listed = [frozenset(clients) for clients in earlier]
    kinds: dict[tuple[bool, ...], set[int]] = {}
    for client in frozenset(willing).union(*listed):
        kinds.setdefault(_kind(client, listed), set()).add(client)
    chosen: set[int] = set()
    for kind, group in kinds.items():
        inside = sorted(group & set(willing))
        outside = len(group) - len(inside)
        if any(kind) and 0 < outside < crowd:
            inside = inside[: max(0, len(inside) - (crowd - outside))]
        chosen |= set(inside) if len(inside) >= crowd else set()
    return chosen


def _kind(client: int, listed: list[frozenset[int]]) -> tuple[bool, ...]:
    return tuple(client in clients for clients in listed)
