"""The coordinator's part in secure sums: who is invited, who is on the list, what came of it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from common.failures import TooFewClients
from common.fixed_point import Words, from_words
from common.reasons import Reason, Refused
from common.rosters import KEYS, Roster
from common.terms import Terms
from server.aggregators import Targets
from server.archive import Archive
from server.bookkeeping import Books
from server.secure_sum import SecureSum
from server.teaching import Aim


class Summing:
    """All secure sums of a run: one round's at a time, with every list ever sent kept on disk."""

    def __init__(self, terms: Terms, archive: Archive, books: Books) -> None:
        self._terms, self._archive, self._books = terms, archive, books

    def begin(self, server_round: int, cohort: Iterable[int]) -> SecureSum:
        """Open a round; lists of an earlier process count too, for their sums may be known."""
        self._gate = SecureSum(self._terms, server_round, cohort, self._archive.rosters())
        return self._gate

    @property
    def attempt(self) -> int:
        """Which one of the round is under way."""
        return self._gate.attempt

    def invite(self, ready: set[int]) -> tuple[Roster, set[int]]:
        """Begin an attempt; return the invitation and who gets it."""
        self._books.start_clock()
        invitation, invited = self._gate.invitation, ready & self._gate.expected
        self._books.down(invitation.question, invited, invitation.payload)
        return invitation, invited

    def admit_key(self, client: int, key: bytes) -> None:
        """Judge a public key on its own and log the verdict."""
        verdict = self._gate.admit_key(client, key)
        question = replace(self._gate.invitation.question, schema=KEYS)
        self._books.up(question, client, key, verdict)
        if verdict is not Reason.accepted:
            self._books.exclude(client, verdict)

    def close(self) -> Roster | None:
        """Say who adds up in this attempt; None if those who named a key cannot.

        The list is kept for good before it goes down.
        """
        roster = self._gate.close()
        if roster is not None:
            self._archive.keep_roster(f"{roster.round}-{roster.attempt}", roster.payload)
            self._books.down(roster.question, roster.clients, roster.payload)
        return roster

    def remind(self, roster: Roster, clients: Iterable[int]) -> None:
        """Log that a list, or an invitation, goes down once more."""
        self._books.down(roster.question, clients, roster.payload)

    def settle(self) -> bool:
        """End an attempt.

        Returns:
            Whether everybody on the list has sent masked words. If not, what the others sent is
            dropped, for it says nothing, and the next attempt has begun with those others.

        Raises:
            TooFewClients: they are too few, or this was the last attempt.
        """
        gate, question = self._gate, self._gate.invitation.question
        whole = gate.roster is not None and not gate.missing
        parts, stood = dict(sorted(gate.admitted.items())), set(gate.admitted)
        for client, payload in parts.items():
            if whole:
                self._archive.keep_release(question.round, client, payload)
                self._books.count(client)
            verdict = Reason.accepted if whole else Reason.aborted
            self._books.up(question, client, payload, verdict)
        if whole or not gate.again():
            left = (gate.spared if whole else gate.spared | stood) - gate.admitted.keys()
            self._books.exclude_all(dict.fromkeys(left, Reason.aborted))
        if not whole and not gate.possible:
            raise self._books.too_few(0)
        return whole

    def aim(self) -> Aim:
        """What the student is to learn from: an ensemble of one, which nobody in particular is.

        Raises:
            TooFewClients: the words do not add up to anything honest; nobody can say whose fault
                that is.
        """
        try:
            total = self._gate.total()
        except Refused as refusal:
            self._books.blame_all(refusal.reason)
            raise TooFewClients(
                "the masked words of this round do not add up, and nobody can tell whose are to "
                "blame; write wire.secure_sum = false to find out"
            ) from refusal
        self._archive.keep_sum(self._gate.invitation.round, sum_bytes(total))
        return summed_up(total, self._terms)


def summed_up(total: Words, terms: Terms) -> Aim:
    """The targets in a sum of words (N, C + 2); T is 1, and so is K.

    A text of which fewer than the agreed crowd said something has weight 0.
    """
    secure, sums = terms.secure, from_words(total)
    assert secure is not None, "there is no secure sum without its terms"
    told = secure.told(sums)[None]
    nobody = np.array([terms.num_clients], dtype=np.int64)  # not an id of a client
    return Aim(nobody, told, Targets(secure.opinions(sums)[None], told))


def sum_bytes(total: Words) -> bytes:
    """A sum of words as it is kept: u32, little-endian, row-major."""
    return np.ascontiguousarray(total, dtype="<u4").tobytes()
