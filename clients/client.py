"""One client: private data and a teacher inside, soft predictions out."""

import contextlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from clients.availability import is_there
from clients.config import configured
from clients.flushing import settled
from clients.public import features_of
from clients.store import Store
from clients.teachers import FittedTeacher, Inputs, Teacher
from clients.vetting import vet, vetted
from common.arrays import Floats
from common.audit import AuditLog
from common.blanks import blanks
from common.messages import Answer, Question
from common.quantise import to_codes
from common.reasons import Reason, Refused
from common.records import PREDICTIONS, Flags, Record, decode, encode
from common.seeds import stream


class Client:
    """Answers questions about the shared texts; keeps everything else to itself."""

    def __init__(self, store: Store) -> None:
        self._store, self._terms = store, store.terms()
        about = store.about()
        self.id, self._seed = int(about["client"]), int(about["seed"])
        self._config = configured(about["config"])
        self._recipe: Teacher = self._config.of(self.id)
        self._log = store.public() / "audit" / f"client-{self.id}.jsonl"
        self._audit = AuditLog(self._log)

    def encode(self) -> None:
        """Look at the shared texts; compute the features of the private ones, unless there.

        A teacher that reads texts needs no features, and gets none.

        Raises:
            Refused: the shared texts are not those agreed on, or look like probes.
        """
        vet(self._store, self._config.vetting)
        if self._recipe.reads == "features" and self._store.features() is None:
            texts, _ = self._store.shard()
            self._store.keep_features(self._config.encoder.encode(texts))

    def train(self) -> None:
        """Fit the teacher, unless there is one.

        Raises:
            Refused: there are no features, or the client refuses the shared texts.
        """
        vet(self._store, self._config.vetting)
        if self._store.teacher() is not None:
            return
        rng, (texts, labels) = stream(self._seed, "fit"), self._store.shard()
        inputs: Inputs = texts if self._recipe.reads == "texts" else self._store.features()
        if inputs is None:
            raise Refused(Reason.refused)
        fitted = self._recipe.fit(inputs, labels, len(self._terms.labels), rng)
        self._store.keep_teacher(fitted.tensors())

    def answer(self, question: Question) -> Answer:
        """The release of this round: the same bytes however often it is asked for.

        It is on disk when this returns, and so is the log.

        Raises:
            Refused: see :meth:`draft`.
        """
        answer, written = self.draft(question)
        settled(written)
        return answer

    def draft(self, question: Question) -> tuple[Answer, tuple[Path, ...]]:
        """The release of this round, which must not leave before all of it is on disk.

        Returns:
            The answer; the files and folders to be :func:`clients.flushing.settled` first, for
            several clients of one process at once.

        Raises:
            Refused: the server means another run, transfer set, class order or layout, or
                the client refuses the shared texts, or is not there in this round.
        """
        layout, asked, verdict = self._terms.layout, question.payload, self._judge(question)
        there = is_there(self._config.availability, self._seed, max(question.round, 1))
        if verdict is Reason.accepted and not there:
            raise Refused(Reason.timeout)  # it never saw the question
        self._audit.append(
            "down",
            self.id,
            question.round,
            asked,
            schema=question.schema,
            verdict=verdict,
            durable=verdict is not Reason.accepted,  # else it is settled with what follows
        )
        if verdict is not Reason.accepted:
            raise Refused(verdict)
        payload = self._store.release(question.round)
        if payload is None:
            payload = encode(self._record(question.round), layout)
            self._store.keep_release(question.round, payload)
        self._audit.append(
            "up", self.id, question.round, payload, schema=layout.schema, durable=False
        )
        return Answer(self.id, payload), (*self._store.release_paths(question.round), self._log)

    def _judge(self, question: Question) -> Reason:
        """Whether the server means what this client agreed to."""
        if question.binding != self._terms.layout.binding:
            return Reason.wrong_binding
        if question.schema != PREDICTIONS:
            return Reason.wrong_field
        if not 1 <= question.round <= self._terms.num_rounds:
            return Reason.wrong_round
        return Reason.accepted

    def _record(self, server_round: int) -> Record:
        """What this client says; as its teacher never changes, the same in every round."""
        vet(self._store, self._config.vetting)
        said = self._said_before() or self._said()
        return replace(said, round=server_round)

    def _said_before(self) -> Record | None:
        """What a stored release of another round holds; None if there is none, or it is damaged."""
        for server_round, payload in self._store.releases():
            with contextlib.suppress(Refused):
                return decode(payload, self._terms.layout, server_round, self.id)
        return None

    def _said(self) -> Record:
        """Ask the teacher: about the shared texts, and about the blanks."""
        layout = self._terms.layout
        shared = vetted(self._store, self._config.vetting)
        codes = to_codes(self._predict(shared.texts), layout.bits)
        bias, size = None, None
        if layout.flags & Flags.bias:
            mean = self._predict(blanks(self._config.blanks)).astype(np.float64).mean(axis=0)
            bias = to_codes(mean, layout.bits)
        if layout.flags & Flags.num_examples:
            size = len(self._store.shard()[1])
        return Record(0, self.id, codes, bias, num_examples=size)

    def _predict(self, texts: tuple[str, ...]) -> Floats:
        """Soft predictions of shape (N, C) on public texts, whose features may be known."""
        of_texts = self._recipe.reads == "texts"
        return self._teacher.predict(
            texts if of_texts else features_of(self._config.encoder, texts)
        )

    @cached_property
    def _teacher(self) -> FittedTeacher:
        tensors = self._store.teacher()
        if tensors is None:
            raise Refused(Reason.refused)
        return self._recipe.restore(tensors, len(self._terms.labels))
