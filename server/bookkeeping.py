"""The server's books: who was asked, what crossed the wire, and what came of it."""

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

from common.failures import TooFewClients
from common.messages import Consensus, Question
from common.reasons import Reason
from common.terms import Terms
from server.admission import Admission
from server.archive import Archive
from server.secure_sum import SecureSum
from server.tallies import STATUSES

_NO_REPLY = (
    Reason.timeout,
    Reason.crashed,
    Reason.client_error,
    Reason.refused,
    Reason.aborted,
)


class Books:
    """Audit log, tallies of clients, and counts of messages; judges nothing itself."""

    def __init__(self, terms: Terms, archive: Archive) -> None:
        """Start before the first round.

        Args:
            terms: of the run.
            archive: where log and tallies are kept.
        """
        self._terms, self._archive = terms, archive
        self._accepted, self._rejected = 0, 0

    def open(self, server_round: int, cohort: set[int], gate: Admission | SecureSum) -> None:
        """Begin a round.

        Args:
            server_round: from 1.
            cohort: who is asked.
            gate: knows whose answer is admitted, and stands whatever else they do.
        """
        self._round, self._cohort, self._gate = server_round, cohort, gate
        for client in cohort:
            self._archive.tallies[client].asked = True

    def start_clock(self) -> None:
        """Count the seconds that clients take to answer from now on."""
        self._asked = time.monotonic()

    def down(self, question: Question, clients: Iterable[int], payload: bytes) -> None:
        """Log that ``payload`` goes down to ``clients``, with or as that question."""
        for client in sorted(clients):
            self._log("down", question, client, payload)
            self._archive.tallies[client].bytes_down += len(payload)

    def told(self, consensus: Consensus, clients: Iterable[int]) -> None:
        """Log that the consensus goes down to ``clients``."""
        self.down(consensus.question, clients, consensus.payload)

    def sent(self, question: Question, clients: Iterable[int]) -> None:
        """Log that the question goes down to ``clients``, whose clock starts."""
        self.start_clock()
        with self._archive.audit.at_once():
            self.down(question, clients, question.payload)

    def judging(self) -> AbstractContextManager[None]:
        """While a reply is judged, whose verdicts are logged one by one."""
        return self._archive.audit.kept_open()

    def up(self, question: Question, client: int, payload: bytes, verdict: Reason) -> None:
        """Log what came up and what was made of it."""
        self._log("up", question, client, payload, verdict)

    def judged(self, question: Question, client: int, payload: bytes, verdict: Reason) -> None:
        """Log an answer that the gate has judged; count it, or leave its client out."""
        self.up(question, client, payload, verdict)
        if verdict is Reason.accepted:
            self.count(client)
        else:
            self.exclude(client, verdict)

    def count(self, client: int) -> None:
        """Note that a client's answer is part of the round."""
        self._accepted += 1
        tally = self._archive.tallies[client]
        tally.note("answered", Reason.accepted)
        tally.bytes_up += self._terms.answer_bytes_of(self._round)
        tally.seconds += time.monotonic() - self._asked

    def refuse(self, question: Question, client: int, payload: bytes, reason: Reason) -> None:
        """Log what never came before the gate: a stray answer, or a reply that is none.

        A stray answer (``wrong_client``) says nothing about the client whose id it bears,
        who is not blamed.
        """
        self.up(question, client, payload, reason)
        if reason is Reason.wrong_client:
            self._rejected += 1
        else:
            self.exclude(client, reason)

    def late(self, question: Question, client: int, payload: bytes) -> None:
        """Log an answer to a question of an earlier time; nobody looks into it."""
        self.up(question, client, payload, Reason.timeout)
        self._rejected += 1

    def exclude(self, client: int, reason: Reason) -> None:
        """Note that a client did not answer well; its good answer of this round, if any, stands."""
        rejected = reason not in _NO_REPLY
        self._rejected += rejected
        self._note(client, "quarantined" if rejected else "lost", reason)

    def exclude_all(self, reasons: Mapping[int, Reason]) -> None:
        """Note of each of these clients why it did not answer well."""
        for client, reason in reasons.items():
            self.exclude(client, reason)

    def ban(self, client: int) -> None:
        """Note that a client broke its node whenever it was asked, so that it is asked no more."""
        self._note(client, "quarantined", Reason.crashed)

    def blame_all(self, reason: Reason) -> None:
        """Write ``clients.csv`` after a round whose answers are bad only together."""
        for client in self._gate.admitted:
            self._archive.tallies[client].note("quarantined", reason)
        self._archive.keep_tallies()

    def too_few(self, answered: int) -> TooFewClients:
        """Write ``clients.csv``; return the failure of a round in which so many answered."""
        self._archive.keep_tallies()
        tallies = [self._archive.tallies[client] for client in self._cohort]
        reasons = sorted({t.reason for t in tallies if t.status != "answered"})
        return TooFewClients(
            f"only {answered} of {len(self._cohort)} clients answered, k_min is "
            f"{self._terms.k_min} (reasons: {', '.join(reasons)}); see clients.csv"
        )

    def totals(self) -> dict[str, Any]:
        """What the outcome of a run says of clients, bytes and messages."""
        tallies = self._archive.tallies.values()
        return {
            "clients": {
                "asked": sum(t.asked for t in tallies),
                **{s: sum(s in t.ever for t in tallies) for s in STATUSES},
            },
            "senders": sum(t.bytes_up > 0 for t in tallies),
            "bytes_up": sum(t.bytes_up for t in tallies),
            "bytes_down": sum(t.bytes_down for t in tallies),
            "messages": self._accepted,
            "rejected": self._rejected,
        }

    @property
    def counts(self) -> dict[str, int]:
        """What a checkpoint has to hold of it, beside log and tallies."""
        return {"accepted": self._accepted, "rejected": self._rejected}

    def restore(self, counts: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._accepted, self._rejected = counts["accepted"], counts["rejected"]

    def _note(self, client: int, status: str, reason: Reason) -> None:
        known = 0 <= client < self._terms.num_clients
        if known and client not in self._gate.admitted:
            self._archive.tallies[client].note(status, reason)

    def _log(
        self,
        direction: Literal["up", "down"],
        question: Question,
        client: int,
        payload: bytes,
        verdict: Reason = Reason.accepted,
    ) -> None:
        self._archive.audit.append(
            direction,
            client,
            question.round,
            payload,
            schema=question.schema,
            verdict=verdict,
            durable=False,
        )
