"""One round, seen from the server: ask, admit, weigh, combine, distil."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from common.arrays import Floats, Ints
from common.configure import dump, kind_of
from common.failures import TooFewClients
from common.messages import Consensus, Question
from common.metrics import evaluate
from common.reasons import Reason, Refused
from common.rosters import Roster
from common.seeds import stream
from common.terms import Terms
from server.admission import Admission
from server.answers import Answers
from server.archive import Archive
from server.carrier import Carrier
from server.checkpoint import Checkpoint
from server.config import ServerConfig
from server.distil import predict
from server.keeping import Kept
from server.memory import (
    pack_geometry,
    pack_state,
    pack_student,
    pack_weights,
    restore_geometry,
    restore_state,
    restore_student,
)
from server.noising import Noising
from server.pretraining import Classroom
from server.secure_sum import SecureSum
from server.speaking import Speaker
from server.students import count_parameters, fingerprint
from server.summing import Summing
from server.tallies import STATUSES
from server.teaching import Aim, Method
from server.timeouts import Timeouts
from server.weightings import State

Progress = Callable[[str, int, int], None]

_NO_REPLY = (
    Reason.timeout,
    Reason.crashed,
    Reason.client_error,
    Reason.refused,
    Reason.aborted,
)


@dataclass(frozen=True, eq=False)
class Validation:
    """The server's own small labelled slice, public; it reports, it never selects.

    Attributes:
        features: shape (V, D).
        labels: shape (V,).
    """

    features: Floats
    labels: Ints


class Coordinator:
    """Owns the student. Sees answers, never shards, parameters or gradients of clients."""

    def __init__(
        self,
        config: ServerConfig,
        terms: Terms,
        room: Classroom,
        validation: Validation,
        archive: Archive,
        seed: int,
        progress: Progress,
    ) -> None:
        """Start with an untrained student.

        Args:
            config: the server's half of the experiment.
            terms: what all parties agreed on.
            room: the shared texts, and what else is public about them.
            validation: the public labelled slice.
            archive: where everything is kept.
            seed: the server's own seed.
            progress: told (phase, done, total).
        """
        self._config, self._terms = config, terms
        self._validation, self._archive, self._seed = validation, archive, seed
        self._progress, self._geometry = progress, terms.geometry
        self.cost = config.geometry.build(terms.geometry)
        config.loss.check(self.cost)
        self._method = Method(config, room, self.cost, terms.num_clients, seed, terms.subclasses)
        self._state: State = self._method.start()
        self.student = self._method.student(len(terms.labels))
        self.seconds = dict.fromkeys(("aggregate", "distil"), 0.0)
        self.accepted, self.rejected = 0, 0
        self.carrier = Carrier()
        self.cohort = set(self.clients)
        self._refined: int | None = None
        self.summing = None if terms.secure is None else Summing(terms, archive)
        self._speaker = Speaker(config.feedback, terms, room.features)
        self._kept = Kept(terms.asking, len(terms.labels))
        self._noising = Noising(config.hiding, archive.draws)

    def resume(self, checkpoint: Checkpoint | None) -> int:
        """Go back to a committed round, or to before the first; return its number.

        Whatever the run folder holds of later rounds is undone, so that they are done as if
        they had never begun.
        """
        self._archive.rewind(checkpoint)
        if checkpoint is None:
            return 0
        parts, counts = checkpoint.parts, checkpoint.record["counts"]
        restore_student(self.student, parts["student.safetensors"])
        self._state = restore_state(parts["weighting.safetensors"])
        self.cost = restore_geometry(self.cost, parts["geometry.safetensors"])
        self._archive.keep_beliefs(self.cost, parts["weights.safetensors"])
        self.accepted, self.rejected = counts["accepted"], counts["rejected"]
        self.seconds = counts["seconds"]
        self.carrier = Carrier.from_json(counts["carrier"])
        self._speaker.restore(parts)
        self._kept.restore(parts)
        return checkpoint.round

    @property
    def clients(self) -> range:
        """The ids of all clients of the federation."""
        return range(self._terms.num_clients)

    @property
    def timeouts(self) -> Timeouts:
        """How long clients are waited for."""
        return self._config.timeouts

    @property
    def site(self) -> str:
        """The token that questions carry for the clients' sites."""
        return self._terms.site

    def ask(self, server_round: int) -> Question:
        """Open a round: draw whom to ask (:attr:`cohort`); return what they are to be asked."""
        layout = self._terms.layout_of(server_round)
        rng = stream(self._seed, "cohort", server_round)
        drawn = self._config.cohort.draw(server_round, len(self.clients), self._terms.k_min, rng)
        self.cohort, self._refined, self._round = drawn, None, server_round
        for client in drawn:
            self._archive.tallies[client].asked = True
        self._admission: Admission | SecureSum = (
            Admission(layout, server_round, drawn)
            if self.summing is None
            else self.summing.begin(server_round, drawn)
        )
        self._opened = time.monotonic()
        return Question(server_round, layout.schema, layout.binding)

    def consensus(self, server_round: int) -> Consensus | None:
        """What the clients are told before they are asked; None where nothing is said."""
        return self._speaker.consensus(server_round)

    def told(self, consensus: Consensus, clients: Iterable[int]) -> None:
        """Log that the consensus goes down to ``clients``."""
        for client in sorted(clients):
            self._log("down", consensus.question, client, consensus.payload)
            self._archive.tallies[client].bytes_down += len(consensus.payload)

    def heard(self, status: Mapping[int, Reason]) -> set[int]:
        """Note what came of the consensus; return who cannot be asked in this round.

        Who did not get it, or would not take it, keeps the teacher it has, and is asked. Who
        failed over it is left out.
        """
        self._refined = sum(reason is Reason.accepted for reason in status.values())
        failed = {client for client, why in status.items() if why is Reason.client_error}
        for client in failed:
            self.exclude(client, Reason.client_error)
        return failed

    def sent(self, question: Question, clients: Iterable[int]) -> None:
        """Log that the question goes down to ``clients``."""
        self._asked, payload = time.monotonic(), question.payload
        with self._archive.audit.at_once():
            for client in sorted(clients):
                self._log("down", question, client, payload)
                self._archive.tallies[client].bytes_down += len(payload)

    def admit_all(self, question: Question, answers: Mapping[int, bytes]) -> None:
        """Judge the answers of one reply, in the order of the clients; log them together."""
        with self._archive.audit.at_once():
            for client in sorted(answers):
                self.admit(question, client, answers[client])

    def admit(self, question: Question, client: int, payload: bytes) -> Reason:
        """Judge one answer on its own, log the verdict, keep what is accepted."""
        verdict = self._admission.admit(client, payload)
        if verdict is Reason.accepted and self.summing is not None:
            return verdict  # it counts once all of the list are there, or not at all
        if verdict is Reason.accepted:
            self._archive.keep_release(question.round, client, payload)
        self._log("up", question, client, payload, verdict)
        if verdict is not Reason.accepted:
            self.exclude(client, verdict)
            return verdict
        self._count(client, payload)
        return verdict

    def invite(self, ready: set[int]) -> tuple[Roster, set[int]]:
        """Begin an attempt at a secure sum; return the invitation and who gets it."""
        assert self.summing is not None, "this run has secure sums"
        self._asked = time.monotonic()
        return self.summing.invite(ready)

    def admit_key(self, client: int, key: bytes) -> None:
        """Judge a public key on its own and log the verdict."""
        assert self.summing is not None, "this run has secure sums"
        verdict = self.summing.key(client, key)
        if verdict is not Reason.accepted:
            self.exclude(client, verdict)

    def close_list(self) -> Roster | None:
        """Say who adds up in this attempt; None if those who named a key cannot."""
        assert self.summing is not None, "this run has secure sums"
        return self.summing.close()

    def remind(self, roster: Roster, clients: Iterable[int]) -> None:
        """Log that an invitation or a list goes down once more."""
        assert self.summing is not None, "this run has secure sums"
        self.summing.remind(roster, clients)

    def settle(self) -> bool:
        """End an attempt at a secure sum.

        Returns:
            Whether everybody on the list has sent masked words. If not, what the others sent is
            dropped, for it says nothing, and the next attempt has begun with those others.

        Raises:
            TooFewClients: they are too few, or this was the last attempt.
        """
        assert self.summing is not None, "this run has secure sums"
        gate = self.summing.gate
        whole = gate.roster is not None and not gate.missing
        parts, stood = dict(sorted(gate.admitted.items())), set(gate.admitted)
        for client, payload in parts.items():
            if whole:
                self._archive.keep_release(gate.invitation.round, client, payload)
                self._count(client, payload)
            self.summing.log(client, payload, Reason.accepted if whole else Reason.aborted)
        if whole or not gate.again():
            for client in (gate.spared if whole else gate.spared | stood) - gate.admitted.keys():
                self.exclude(client, Reason.aborted)
        if not whole and not gate.possible:
            self._archive.keep_tallies()
            raise TooFewClients(self._shortage(0))
        return whole

    def _count(self, client: int, payload: bytes) -> None:
        self.accepted += 1
        tally = self._archive.tallies[client]
        tally.note("answered", Reason.accepted)
        tally.bytes_up += self._terms.answer_bytes_of(self._round)
        tally.seconds += time.monotonic() - self._asked

    def refuse(self, question: Question, client: int, payload: bytes, reason: Reason) -> None:
        """Log what never came before the gate: a stray answer, or a reply that is none.

        A stray answer (``wrong_client``) says nothing about the client whose id it bears,
        who is not blamed.
        """
        self._log("up", question, client, payload, reason)
        if reason is Reason.wrong_client:
            self.rejected += 1
        else:
            self.exclude(client, reason)

    def late(self, question: Question, client: int, payload: bytes) -> None:
        """Log an answer to a question of an earlier time; nobody looks into it."""
        self._log("up", question, client, payload, Reason.timeout)
        self.rejected += 1

    def exclude(self, client: int, reason: Reason) -> None:
        """Note that a client did not answer well; its good answer of this round, if any, stands."""
        rejected = reason not in _NO_REPLY
        self.rejected += rejected
        self._note(client, "quarantined" if rejected else "lost", reason)

    def ban(self, client: int) -> None:
        """Note that a client broke its node whenever it was asked, so that it is asked no more."""
        self._note(client, "quarantined", Reason.crashed)

    def learn(self, question: Question) -> None:
        """Distil what was admitted into the student; the order of arrival does not matter.

        Raises:
            TooFewClients: fewer than ``k_min`` answers were admitted.
        """
        admitted = self._admission.admitted
        if len(admitted) < self._terms.k_min:
            self._archive.keep_tallies()
            raise TooFewClients(self._shortage(len(admitted)))
        started = time.monotonic()
        self._progress("aggregate", 0, 1)
        aim = self._aim(question.round)
        whole = self._kept.completed(question.round, aim)
        self._progress("aggregate", 1, 1)
        aggregated = time.monotonic()
        taught = self._method.teach(
            self.student,
            whole,
            self.cost,
            self._state,
            question.round,
            lambda done, total: self._progress("distil", done, total),
        )
        self.cost, self._state = taught.lesson.geometry, taught.state
        self.seconds["aggregate"] += aggregated - started
        self.seconds["distil"] += time.monotonic() - aggregated
        self._noising.settle()
        self._speaker.prepare(question.round, aim.of_labels, self.student)
        believed = pack_weights(aim.teachers, aim.weights)
        self._archive.keep_beliefs(self.cost, believed)
        self._archive.keep_round(
            self._line(question.round, len(admitted), taught.lesson.losses[-1])
        )
        self._commit(question.round, believed)

    def _aim(self, server_round: int) -> Aim:
        """What clients say of the texts that they were asked about.

        Raises:
            TooFewClients: a secure sum is none; nobody can say whose fault that is.
        """
        if isinstance(self._admission, Admission):
            answers = Answers(self._admission.admitted)
            asked = self._kept.asked(server_round)
            aim = self._method.aim(answers, self.cost, self._state, asked)
            return self._noising.hide(server_round, aim, answers)
        assert self.summing is not None, "this run has secure sums"
        try:
            return self.summing.aim()
        except Refused as refusal:
            for client in self._admission.admitted:
                self._archive.tallies[client].note("quarantined", refusal.reason)
            self._archive.keep_tallies()
            raise TooFewClients(
                "the masked words of this round do not add up, and nobody can tell whose are to "
                "blame; write wire.secure_sum = false to find out"
            ) from refusal

    def finish(self, extra: dict[str, Any]) -> None:
        """Write the student, the tallies and, last, the outcome with ``extra`` merged in."""
        self._archive.keep_student(self.student, self._recipe(), self._terms)
        self._archive.keep_tallies()
        tallies = self._archive.tallies.values()
        outcome = {
            "clients": {
                "asked": sum(t.asked for t in tallies),
                **{s: sum(s in t.ever for t in tallies) for s in STATUSES},
            },
            "senders": sum(t.bytes_up > 0 for t in tallies),
            "bytes_up": sum(t.bytes_up for t in tallies),
            "bytes_down": sum(t.bytes_down for t in tallies),
            "messages": self.accepted,
            "rejected": self.rejected,
            "parameters": count_parameters(self.student),
            "student_sha256": fingerprint(self.student),
            "predictions_sha256": self._archive.predictions_hash(),
            "audit_head": self._archive.audit.head,
            "isolated": self.carrier.isolated,
            "envelope_up": self.carrier.envelope_bytes,
            "seconds": self.seconds | self.carrier.seconds,
        }
        self._archive.keep_outcome(outcome | extra)

    def _note(self, client: int, status: str, reason: Reason) -> None:
        if client in self.clients and client not in self._admission.admitted:
            self._archive.tallies[client].note(status, reason)

    def _commit(self, server_round: int, believed: bytes) -> None:
        parts = {
            "student.safetensors": pack_student(self.student),
            "weighting.safetensors": pack_state(self._state),
            "geometry.safetensors": pack_geometry(self.cost),
            "weights.safetensors": believed,
        }
        counts = {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "seconds": self.seconds,
            "carrier": self.carrier.to_json(),
        }
        said = self._speaker.parts | self._kept.parts
        self._archive.commit(self._terms.run, server_round, parts | said, counts)

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

    def _line(self, server_round: int, answered: int, loss: float) -> dict[str, Any]:
        """One line of ``rounds.jsonl``; metrics are of the validation slice."""
        probs = predict(self.student, self._validation.features)
        metrics = evaluate(probs, self._validation.labels, self._geometry, validation=None)
        refined = {} if self._refined is None else {"refined": self._refined}
        return {
            "round": server_round,
            "asked": len(self.cohort),
            **refined,
            "answered": answered,
            "loss": round(float(np.float64(loss)), 6),
            "student": {k: round(v, 6) for k, v in metrics.items() if v is not None},
            "bytes_up": answered * self._terms.answer_bytes_of(server_round),
            "seconds": round(time.monotonic() - self._opened, 3),
        }

    def _recipe(self) -> dict[str, Any]:
        return {"kind": kind_of(self._config.student)} | dump(self._config.student)

    def _shortage(self, answered: int) -> str:
        tallies = [self._archive.tallies[client] for client in self.cohort]
        reasons = sorted({t.reason for t in tallies if t.status != "answered"})
        return (
            f"only {answered} of {len(self.cohort)} clients answered, k_min is "
            f"{self._terms.k_min} (reasons: {', '.join(reasons)}); see clients.csv"
        )
