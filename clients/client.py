"""One client: private data and a teacher inside, soft predictions out."""

from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from clients.store import Store
from clients.teachers import FittedTeacher, Teacher
from clients.teachers.frozen_mlp import FrozenMlp
from clients.vetting import Vetting, vet, vetted
from common.arrays import Floats
from common.audit import AuditLog
from common.blanks import blanks
from common.component import component
from common.configure import load
from common.encoders import Encoder, encode_cached
from common.encoders.sentence import Sentence
from common.messages import Answer, Question
from common.places import cache_dir
from common.quantise import to_codes
from common.reasons import Reason, Refused
from common.records import PREDICTIONS, Flags, Record, encode
from common.seeds import stream


@component
class ClientConfig:
    """What the clients decide.

    Attributes:
        teacher: the model each client trains on its own texts.
        encoder: turns texts into features; the same for all, and public.
        blanks: the list of content-free texts on which a teacher shows its bias.
        vetting: what shared texts a client refuses to train for and to answer about.
    """

    teacher: Teacher = Field(default_factory=FrozenMlp)
    encoder: Encoder = Field(default_factory=Sentence)
    blanks: Literal["content_free", "random_tokens"] = "random_tokens"
    vetting: Vetting = Field(default_factory=Vetting)


class Client:
    """Answers questions about the shared texts; keeps everything else to itself."""

    def __init__(self, store: Store) -> None:
        self._store, self._terms = store, store.terms()
        about = store.about()
        self.id, self._seed = int(about["client"]), int(about["seed"])
        self._config = load(ClientConfig, about["config"], "clients")
        self._audit = AuditLog(store.public() / "audit" / f"client-{self.id}.jsonl")

    def encode(self) -> None:
        """Look at the shared texts; compute the features of the private ones, unless there.

        Raises:
            Refused: the shared texts are not those agreed on, or look like probes.
        """
        vet(self._store, self._config.vetting)
        if self._store.features() is None:
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
        features = self._store.features()
        if features is None:
            raise Refused(Reason.refused)
        _, labels = self._store.shard()
        rng = stream(self._seed, "fit")
        fitted = self._config.teacher.fit(features, labels, len(self._terms.labels), rng)
        self._store.keep_teacher(fitted.tensors())

    def answer(self, question: Question) -> Answer:
        """The release of this round: the same bytes however often it is asked for.

        Raises:
            Refused: the server means another run, transfer set, class order or layout, or
                the client refuses the shared texts.
        """
        layout, asked, verdict = self._terms.layout, question.payload, self._judge(question)
        self._audit.append(
            "down", self.id, question.round, asked, schema=question.schema, verdict=verdict
        )
        if verdict is not Reason.accepted:
            raise Refused(verdict)
        payload = self._store.release(question.round)
        if payload is None:
            payload = encode(self._record(question.round), layout)
            self._store.keep_release(question.round, payload)
        self._audit.append("up", self.id, question.round, payload, schema=layout.schema)
        return Answer(self.id, payload)

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
        layout = self._terms.layout
        shared = vetted(self._store, self._config.vetting)
        codes = to_codes(self._predict(shared.texts), layout.bits)
        bias, size = None, None
        if layout.flags & Flags.bias:
            mean = self._predict(blanks(self._config.blanks)).astype(np.float64).mean(axis=0)
            bias = to_codes(mean, layout.bits)
        if layout.flags & Flags.num_examples:
            size = len(self._store.shard()[1])
        return Record(server_round, self.id, codes, bias, num_examples=size)

    def _predict(self, texts: tuple[str, ...]) -> Floats:
        """Soft predictions of shape (N, C) on public texts, whose features may be cached."""
        features = encode_cached(self._config.encoder, texts, cache_dir() / "features")
        return self._teacher.predict(features)

    @cached_property
    def _teacher(self) -> FittedTeacher:
        tensors = self._store.teacher()
        if tensors is None:
            raise Refused(Reason.refused)
        return self._config.teacher.restore(tensors, len(self._terms.labels))
