"""One client's part in a secure sum: name a key, agree to a list, send masked words.

The client trusts the server to carry messages and no further: it adds up only with a list that
names its own key, is long enough, and does not, beside the lists it agreed to before, tell the
server of fewer clients than agreed on.
"""

from collections.abc import Callable

from clients.masking import mask
from clients.outbound import sealed_masked
from clients.secure_store import Attempt, agreed, tidied
from clients.store import Store
from common.audit import AuditLog
from common.fixed_point import Words
from common.masked import MaskedLayout
from common.predictions import Predictions
from common.quantise import to_probs
from common.reasons import Reason, Refused
from common.records import Record
from common.rosters import ATTEMPTS, KEYS, MASKED, Roster, hidden
from common.terms import Terms


class Party:
    """A client as a member of secure sums."""

    def __init__(self, store: Store, terms: Terms, client: int, audit: AuditLog) -> None:
        """Open a client's store, and delete keys that a kill may have left there."""
        self._store, self._terms, self.id, self._audit = store, terms, client, audit
        if terms.secure is not None:
            tidied(store.root)

    def key(self, invitation: Roster) -> bytes:
        """This client's public key for one attempt: the same however often it is asked for.

        Raises:
            Refused: the run has no secure sum, or the server means another run, round or attempt.
        """
        verdict = Reason.wrong_field if invitation.members else self._judge(invitation)
        self._log_down(invitation, verdict)
        public = self._attempt(invitation).public()
        self._audit.append("up", self.id, invitation.round, public, schema=KEYS)
        return public

    def contribute(self, roster: Roster, said: Callable[[int], Record]) -> bytes:
        """The masked record of one attempt: the same bytes however often it is asked for.

        Args:
            roster: who takes part.
            said: from the round to what this client would answer in clear.

        Raises:
            Refused: see :meth:`key`; or the list is not one to add up with, or another than
                this client agreed to before in the same attempt.
        """
        attempt, verdict = self._attempt(roster), self._judge(roster)
        if verdict is Reason.accepted:
            verdict = self._judge_list(roster, attempt)
        self._log_down(roster, verdict)
        payload = attempt.masked()
        if payload is None:
            payload = self._made(roster, attempt, said)
        self._audit.append("up", self.id, roster.round, payload, schema=MASKED)
        return payload

    def _made(self, roster: Roster, attempt: Attempt, said: Callable[[int], Record]) -> bytes:
        if (secret := attempt.secret()) is None:
            raise Refused(Reason.refused)
        if attempt.roster() is None:
            attempt.agree(roster)
        own = contribution(said(roster.round), self._terms, len(roster.members))
        layout = MaskedLayout(
            self._terms.rows, len(self._terms.labels), roster.context, roster.round
        )
        payload = sealed_masked(mask(own, secret, self.id, roster), layout, self.id)
        attempt.keep_masked(payload)
        return payload

    def _judge(self, roster: Roster) -> Reason:
        """Whether the server means what this client agreed to."""
        if self._terms.secure is None:
            return Reason.wrong_field
        if roster.binding != self._terms.binding:
            return Reason.wrong_binding
        good = 1 <= roster.round <= self._terms.num_rounds and 1 <= roster.attempt <= ATTEMPTS
        return Reason.accepted if good else Reason.wrong_round

    def _judge_list(self, roster: Roster, attempt: Attempt) -> Reason:
        """Whether this is a list to add up with."""
        secure = self._terms.secure
        assert secure is not None, "judged before"
        own = roster.keys.get(self.id)
        if own is None or own != attempt.named():
            return Reason.wrong_client
        known = attempt.roster()
        if known is not None:
            return Reason.accepted if known == roster else Reason.refused
        fewest = max(self._terms.k_min, secure.crowd)
        outside = max(roster.clients) >= self._terms.num_clients
        if outside or len(roster.members) < fewest:
            return Reason.refused
        before = [old.clients for old in agreed(self._store.root)]
        return (
            Reason.accepted if hidden([*before, roster.clients], secure.crowd) else Reason.refused
        )

    def _log_down(self, roster: Roster, verdict: Reason) -> None:
        self._audit.append(
            "down", self.id, roster.round, roster.payload, schema=MASKED, verdict=verdict
        )
        if verdict is not Reason.accepted:
            raise Refused(verdict)

    def _attempt(self, roster: Roster) -> Attempt:
        return Attempt.of(self._store.root, roster.round, roster.attempt)


def contribution(record: Record, terms: Terms, parties: int) -> Words:
    """What a client adds to a sum, (N, C + 2), for what it would answer in clear.

    Raises:
        OverflowError: the sum of so many parties might not fit into 32 bits.
    """
    secure, bits = terms.secure, terms.bits
    assert secure is not None, "there is no secure sum without its terms"
    bias = None if record.bias is None else to_probs(record.bias, bits)
    said = Predictions(to_probs(record.codes, bits), bias, record.num_examples)
    return secure.words(said, parties)
