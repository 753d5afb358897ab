"""One round, seen from the server: ask, admit, weigh, combine, distil."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from common.configure import dump, kind_of
from common.messages import Consensus, Question
from common.reasons import Reason
from common.seeds import stream
from common.terms import Terms
from server.admission import Admission
from server.answers import Answers
from server.archive import Archive
from server.bookkeeping import Books
from server.carrier import Carrier
from server.checkpoint import Checkpoint
from server.config import ServerConfig
from server.learning import Learner
from server.memory import pack_weights
from server.noising import Noising
from server.pretraining import Classroom
from server.progress import Progress
from server.secure_sum import SecureSum
from server.speaking import Speaker
from server.students import count_parameters, fingerprint
from server.summing import Summing
from server.teaching import Aim
from server.timeouts import Timeouts
from server.validation import Validation


class Coordinator:
    """Owns the student. Sees answers, never shards, parameters or gradients of clients.

    Attributes:
        learner: the student, and what it remembers.
        books: who was asked, what crossed, and what came of it.
        summing: its part in secure sums; None where clients answer in clear.
        carrier: what whoever carries the messages has to remember.
        cohort: whom the round asks.
    """

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
        self._progress = progress
        self.learner = Learner(config, terms, room, seed, progress)
        self.books = Books(terms, archive)
        self.summing = None if terms.secure is None else Summing(terms, archive, self.books)
        self.carrier = Carrier()
        self.cohort = set(self.clients)
        self._seconds = dict.fromkeys(("aggregate", "distil"), 0.0)
        self._speaker = Speaker(config.feedback, terms, room.features)
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
        self.learner.restore(parts)
        self._archive.keep_beliefs(self.learner.cost, parts["weights.safetensors"])
        self.books.restore(counts)
        self._seconds = counts["seconds"]
        self.carrier = Carrier.from_json(counts["carrier"])
        self._speaker.restore(parts)
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
        self.cohort, self._failed = drawn, set[int]()
        self._refined: int | None = None
        self._gate: Admission | SecureSum = (
            Admission(layout, server_round, drawn)
            if self.summing is None
            else self.summing.begin(server_round, drawn)
        )
        self.books.open(server_round, drawn, self._gate)
        self._opened = time.monotonic()
        return Question(server_round, layout.schema, layout.binding)

    def consensus(self, server_round: int) -> Consensus | None:
        """What the clients are told before they are asked; None where nothing is said."""
        return self._speaker.consensus(server_round)

    def heard(self, status: Mapping[int, Reason]) -> None:
        """Note what came of the consensus.

        Who did not get it, or would not take it, keeps the teacher it has, and is asked. Who
        failed over it is left out of the round.
        """
        self._refined = sum(reason is Reason.accepted for reason in status.values())
        self._failed = {client for client, why in status.items() if why is Reason.client_error}
        self.books.exclude_all(dict.fromkeys(self._failed, Reason.client_error))

    @property
    def ready(self) -> set[int]:
        """Those of the cohort who have a teacher and can be asked."""
        return self.carrier.of(self.cohort) - self._failed

    def admit(self, question: Question, client: int, payload: bytes) -> Reason:
        """Judge one answer on its own, log the verdict, keep what is accepted."""
        verdict = self._gate.admit(client, payload)
        if verdict is Reason.accepted:
            if self.summing is not None:
                return verdict  # it counts once all of the list are there, or not at all
            self._archive.keep_release(question.round, client, payload)
        self.books.judged(question, client, payload, verdict)
        return verdict

    def learn(self, question: Question) -> None:
        """Distil what was admitted into the student; the order of arrival does not matter.

        Raises:
            TooFewClients: fewer than ``k_min`` answers were admitted, or they do not add up.
        """
        answered = len(self._gate.admitted)
        if answered < self._terms.k_min:
            raise self.books.too_few(answered)
        with self._timed("aggregate"):
            self._progress("aggregate", 0, 1)
            aim = self._aim(question.round)
            self._progress("aggregate", 1, 1)
        with self._timed("distil"):
            loss = self.learner.learn(question.round, aim)
        self._noising.settle()
        self._speaker.prepare(question.round, aim.of_labels, self.learner.student)
        believed = pack_weights(aim.teachers, aim.weights)
        self._archive.keep_beliefs(self.learner.cost, believed)
        self._archive.keep_round(self._line(question.round, answered, loss))
        self._commit(question.round, believed)

    def finish(self, extra: dict[str, Any]) -> None:
        """Write the student, the tallies and, last, the outcome with ``extra`` merged in."""
        student, recipe = self.learner.student, self._config.student
        told = {"kind": kind_of(recipe)} | dump(recipe)
        self._archive.keep_student(student, told, self._terms)
        self._archive.keep_tallies()
        outcome = self.books.totals() | {
            "parameters": count_parameters(student),
            "student_sha256": fingerprint(student),
            "predictions_sha256": self._archive.predictions_hash(),
            "audit_head": self._archive.audit.head,
            "isolated": self.carrier.isolated,
            "envelope_up": self.carrier.envelope_bytes,
            "seconds": self._seconds | self.carrier.seconds,
        }
        self._archive.keep_outcome(outcome | extra)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[phase] += time.monotonic() - started

    def _aim(self, server_round: int) -> Aim:
        """What clients say of the texts that they were asked about, with the server's noise."""
        if isinstance(self._gate, Admission):
            answers = Answers(self._gate.admitted)
            aim = self.learner.aim(server_round, answers)
            return self._noising.hide(server_round, aim, answers)
        assert self.summing is not None, "this run has secure sums"
        return self.summing.aim()

    def _commit(self, server_round: int, believed: bytes) -> None:
        parts = self.learner.parts | self._speaker.parts | {"weights.safetensors": believed}
        counts = self.books.counts | {"seconds": self._seconds, "carrier": self.carrier.to_json()}
        self._archive.commit(self._terms.run, server_round, parts, counts)

    def _line(self, server_round: int, answered: int, loss: float) -> dict[str, Any]:
        """One line of ``rounds.jsonl``; metrics are of the validation slice."""
        refined = {} if self._refined is None else {"refined": self._refined}
        return {
            "round": server_round,
            "asked": len(self.cohort),
            **refined,
            "answered": answered,
            "loss": round(float(np.float64(loss)), 6),
            "student": self._validation.metrics(self.learner.student),
            "bytes_up": answered * self._terms.answer_bytes_of(server_round),
            "seconds": round(time.monotonic() - self._opened, 3),
        }
