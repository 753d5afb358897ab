"""The coordinator's part in secure sums: who is invited, who is on the list, what came of it."""

from collections.abc import Iterable

import numpy as np

from common.fixed_point import Words, from_words
from common.reasons import Reason
from common.rosters import KEYS, MASKED, Roster
from common.terms import Terms
from server.aggregators import Targets
from server.archive import Archive
from server.secure_sum import SecureSum
from server.teaching import Aim


class Summing:
    """All secure sums of a run: one round's at a time, with every list ever sent kept on disk."""

    def __init__(self, terms: Terms, archive: Archive) -> None:
        self._terms, self._archive = terms, archive

    def begin(self, server_round: int, cohort: Iterable[int]) -> SecureSum:
        """Open a round; lists of an earlier process count too, for their sums may be known."""
        self._gate = SecureSum(self._terms, server_round, cohort, self._archive.rosters())
        return self._gate

    @property
    def gate(self) -> SecureSum:
        """The round's own."""
        return self._gate

    def invite(self, ready: set[int]) -> tuple[Roster, set[int]]:
        """Log that an attempt begins; return the invitation and who gets it."""
        invitation, invited = self._gate.invitation, ready & self._gate.expected
        self._sent(invitation, invited)
        return invitation, invited

    def key(self, client: int, key: bytes) -> Reason:
        """Judge a public key and log the verdict."""
        verdict = self._gate.admit_key(client, key)
        self.log(client, key, verdict, KEYS)
        return verdict

    def close(self) -> Roster | None:
        """Close the list, keep it for good, and log that it goes down; None if there is none."""
        roster = self._gate.close()
        if roster is not None:
            self._archive.keep_roster(f"{roster.round}-{roster.attempt}", roster.payload)
            self._sent(roster, roster.clients)
        return roster

    def remind(self, roster: Roster, clients: Iterable[int]) -> None:
        """Log that a list, or an invitation, goes down once more."""
        self._sent(roster, clients)

    def log(self, client: int, payload: bytes, verdict: Reason, schema: int = MASKED) -> None:
        """Log what came up."""
        self._archive.audit.append(
            "up",
            client,
            self._gate.invitation.round,
            payload,
            schema=schema,
            verdict=verdict,
            durable=False,
        )

    def aim(self) -> Aim:
        """What the student is to learn from: an ensemble of one, which nobody in particular is.

        Raises:
            Refused: ``wrong_sum`` if the words do not add up to anything honest.
        """
        total = self._gate.total()
        self._archive.keep_sum(self._gate.invitation.round, sum_bytes(total))
        return summed_up(total, self._terms)

    def _sent(self, roster: Roster, clients: Iterable[int]) -> None:
        for client in sorted(clients):
            self._archive.audit.append(
                "down", client, roster.round, roster.payload, schema=MASKED, durable=False
            )
            self._archive.tallies[client].bytes_down += len(roster.payload)


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
