"""One round's secure sum, seen from the server: keys, list, masked words, and what they add up to.

The server holds masked words, which say nothing, and their sum. It holds no word of one client
unmasked at any time, nor a key that could unmask one.
"""

from collections.abc import Iterable

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from common.fixed_point import Words
from common.masked import MaskedLayout, decode_masked
from common.reasons import Reason, Refused
from common.rosters import ATTEMPTS, KEY_BYTES, Roster, choose
from common.terms import Terms


class SecureSum:
    """The attempts of one round."""

    def __init__(
        self, terms: Terms, server_round: int, expected: Iterable[int], rosters: Iterable[Roster]
    ) -> None:
        """Begin the first attempt.

        Args:
            terms: of the run.
            server_round: of the round.
            expected: whose keys are taken in the first attempt.
            rosters: all that were ever sent in this run, of whichever round.
        """
        self._terms, self._round = terms, server_round
        self._sent = {(r.round, r.attempt): r for r in rosters}
        self._roster: Roster | None = None
        self.spared: set[int] = set()
        """Those who named a key and were left off a list, so that no sum is about too few."""
        self._open(1, set(expected))

    @property
    def attempt(self) -> int:
        """Which one is under way."""
        return self._attempt

    @property
    def expected(self) -> frozenset[int]:
        """Those invited to name a key in this attempt."""
        return frozenset(self._expected)

    @property
    def invitation(self) -> Roster:
        """What goes down first in an attempt."""
        return Roster(self._round, self._attempt, self._terms.binding)

    @property
    def roster(self) -> Roster | None:
        """Who takes part; None before the list is closed."""
        return self._roster

    @property
    def admitted(self) -> dict[int, bytes]:
        """The masked records so far, as they crossed."""
        return self._admitted

    @property
    def missing(self) -> set[int]:
        """Those on the list that have not sent their masked words."""
        return set(() if self._roster is None else self._roster.clients) - self._admitted.keys()

    def admit_key(self, client: int, key: bytes) -> Reason:
        """Take a public key; the first one of a client stands.

        A key with which nobody can agree on a secret is refused here: on the list it would fail
        every honest member, and none of them could be told from the one who named it.
        """
        if client not in self._expected or self._roster is not None:
            return Reason.wrong_client
        if len(key) != KEY_BYTES:
            return Reason.wrong_length
        if client in self._keys or key in self._keys.values():
            return Reason.duplicate
        if not _agreeable(key):
            return Reason.wrong_field
        self._keys[client] = key
        return Reason.accepted

    def close(self) -> Roster | None:
        """Close the list of the attempt.

        Returns:
            It; None if it cannot be formed, for too few would be on it, or another list was
            sent in this attempt before.
        """
        secure = self._terms.secure
        assert secure is not None, "there is no secure sum without its terms"
        this = (self._round, self._attempt)
        before = [r.clients for key, r in self._sent.items() if key != this]
        chosen = choose(self._keys.keys(), before, secure.crowd)
        if len(chosen) < self._fewest:
            return None
        members = tuple((client, self._keys[client]) for client in sorted(chosen))
        made = Roster(self._round, self._attempt, self._terms.binding, members)
        if self._sent.setdefault(this, made) != made:
            return None
        self._roster = made
        self.spared |= self._keys.keys() - chosen
        return made

    def admit(self, client: int, payload: bytes) -> Reason:
        """Take one masked record, or say why not."""
        if self._roster is None or client not in self._roster.clients:
            return Reason.wrong_client
        if client in self._admitted:
            return Reason.duplicate
        try:
            decode_masked(payload, self._layout(self._roster), client)
        except Refused as refusal:
            return refusal.reason
        self._admitted[client] = payload
        return Reason.accepted

    def again(self) -> bool:
        """Give the attempt up and begin the next one, with those who stood by the last.

        Returns:
            Whether there is a next one.
        """
        stood = set(self._admitted) if self._roster is not None else set(self._keys)
        self._open(self._attempt + 1, stood)
        return self.possible

    @property
    def possible(self) -> bool:
        """Whether the attempt that has begun may be made, and has enough to make it with."""
        return self._attempt <= ATTEMPTS and len(self._expected) >= self._fewest

    def total(self) -> Words:
        """The sum of all words, (N, C + 2), in which the masks have cancelled.

        Raises:
            Refused: ``wrong_sum`` if it cannot be one of honest contributions.
        """
        secure = self._terms.secure
        assert secure is not None, "there is no secure sum without its terms"
        assert self._roster is not None, "the list is closed"
        assert not self.missing, "masks cancel among all of the list only"
        layout = self._layout(self._roster)
        total = np.zeros(layout.shape, dtype=np.uint32)
        for client in sorted(self._admitted):
            np.add(total, decode_masked(self._admitted[client], layout, client), out=total)
        if not secure.plausible(total, len(self._admitted)):
            raise Refused(Reason.wrong_sum)
        return total

    @property
    def _fewest(self) -> int:
        secure = self._terms.secure
        assert secure is not None, "there is no secure sum without its terms"
        return max(self._terms.k_min, secure.crowd)

    def _open(self, attempt: int, expected: set[int]) -> None:
        self._attempt, self._expected = attempt, expected
        self._keys: dict[int, bytes] = {}
        self._roster = None
        self._admitted: dict[int, bytes] = {}

    def _layout(self, roster: Roster) -> MaskedLayout:
        return MaskedLayout(self._terms.rows, len(self._terms.labels), roster.context, self._round)


def _agreeable(key: bytes) -> bool:
    """Whether a secret can be agreed on with a public key: it is no point of small order.

    With such a point every exchange gives zeros, whoever's private key it is (RFC 7748, section
    6.1), and the library refuses those. So one exchange with a key of no other use tells.
    """
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return False
    return True
