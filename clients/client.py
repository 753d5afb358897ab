"""One client: private data and a teacher inside, soft predictions out."""

import contextlib
from dataclasses import replace

from clients.availability import is_there
from clients.budget import allow, written
from clients.config import configured
from clients.familiarity import codes as distance_codes
from clients.flushing import settled
from clients.keeping import Told, to_learn
from clients.mechanisms import Holding, Mechanism
from clients.noise import KeyedNoise
from clients.noise_key import noise_key
from clients.outbound import sealed
from clients.priors import corrected, shares
from clients.public import features_of
from clients.refinements import Lesson
from clients.refining import judged, newest_teacher
from clients.secure_sum import Party
from clients.store import Store
from clients.teachers import FittedTeacher, Inputs, Shard, Teacher
from clients.vetting import vet, vetted
from clients.voice import Voice, splitting
from common.arrays import Floats, Ints
from common.audit import AuditLog
from common.blanks import blanks
from common.messages import Answer, Consensus, Question
from common.reasons import Reason, Refused
from common.records import Flags, Record, renewed
from common.rosters import Roster
from common.seeds import stream


class Client:
    """Answers questions about the shared texts; keeps everything else to itself."""

    def __init__(self, store: Store) -> None:
        self._store, self._terms, self.home = store, store.terms(), store.root
        about = store.about()
        self.id, self._seed = int(about["client"]), int(about["seed"])
        self._config = configured(about["config"])
        self._recipe: Teacher = self._config.of(self.id)
        self._mechanism = own = self._config.mechanism
        self._trained_by = own if own is not None and own.trains else None
        alone = self._trained_by is not None  # its noise is drawn one by one
        self.stacks = self._config.vectorised and self._recipe.stacks and not alone
        self._log = f"{about['public']}/audit/client-{self.id}.jsonl"
        self._audit = AuditLog(self._log)
        self._party = Party(store, self._terms, self.id, self._audit)

    def encode(self) -> None:
        """Look at the shared texts; compute the features of the private ones, unless there.

        Who reads texts needs no features, and gets none unless it says how near texts are.

        Raises:
            Refused: the shared texts are not those agreed on, or look like probes.
        """
        vet(self._store, self._config.vetting)
        wanted = self._recipe.reads == "features" or self._terms.layout.flags & Flags.scalar
        if wanted and self._store.features() is None:
            texts, _ = self._store.shard()
            self._store.keep_features(self._config.encoder.encode(texts))

    def train(self) -> None:
        """Fit the teacher, unless there is one.

        Raises:
            Refused: there are no features, or the client refuses the shared texts.
        """
        if (untaught := self.untaught()) is not None:
            recipe, num_labels, shard = untaught
            if self._trained_by is None:
                self.keep(recipe.fit(*shard[:2], num_labels, shard.rng))
            else:
                self._train_privately(self._trained_by, None, 1)

    def untaught(self) -> tuple[Teacher, int, Shard] | None:
        """The recipe, C, and what the teacher is to be fitted to; None if there is a teacher.

        Raises:
            Refused: see :meth:`train`.
        """
        vet(self._store, self._config.vetting)
        if self._store.teacher() is not None:
            return None
        shard = Shard(*self._private(), stream(self._seed, "fit"))
        return self._recipe, len(self._terms.labels), shard

    def keep(self, fitted: FittedTeacher) -> None:
        """Store the teacher; it is on disk when this returns."""
        self._store.keep_teacher(fitted.tensors())

    def refine(self, consensus: Consensus) -> None:
        """Go on from the last teacher with what the server says back, unless that was done.

        The teacher of the round is on disk when this returns; the ones before stay.

        Raises:
            Refused: the server means another run, transfer set, class order, layout or round,
                the bytes are not the canonical ones, the client has no teacher to go on from,
                refuses the shared texts, or is not there in this round.
        """
        asked = consensus.question
        if not is_there(self._config.availability, self._seed, max(asked.round, 1)):
            raise Refused(Reason.timeout)  # it never heard what was said
        verdict, said = judged(self._terms, consensus)
        self._audit.append(
            "down", self.id, asked.round, consensus.payload, schema=asked.schema, verdict=verdict
        )
        if said is None:
            raise Refused(verdict)
        vet(self._store, self._config.vetting)
        told = to_learn(self._store, consensus, said, self._all_seen())
        if self._store.teacher(asked.round) is not None or len(told[1]) == 0:
            return
        if self._trained_by is not None:
            self._train_privately(self._trained_by, told, asked.round)
        else:
            self._store.keep_teacher(self._refined(asked.round, told).tensors(), asked.round)

    def _train_privately(self, mechanism: Mechanism, told: Told | None, server_round: int) -> None:
        """Fit the teacher of a round by the mechanism; it and what it cost become one file."""
        allow(mechanism, self._store)
        shared, consensus = told or (self._all_seen(), None)
        holding = Holding(*self._private(), len(self._terms.labels), shared, consensus)
        rng = stream(self._seed, "fit", *(() if server_round == 1 else (server_round,)))
        fitted, cost = mechanism.fit(self._recipe, holding, rng)
        self._store.keep_teacher(fitted.tensors(), server_round, written(cost))

    def answer(self, question: Question) -> Answer:
        """The release of this round: the same bytes however often it is asked for.

        It is on disk when this returns, and so is the log.

        Raises:
            Refused: see :meth:`draft`.
        """
        answer, written = self.draft(question)
        settled(written)
        return answer

    def draft(self, question: Question) -> tuple[Answer, tuple[str, ...]]:
        """The release of this round, which must not leave before all of it is on disk.

        Returns:
            The answer; the files and folders to be :func:`clients.flushing.settled` first, for
            several clients of one process at once.

        Raises:
            Refused: the server means another run, transfer set, class order or layout, or
                the client refuses the shared texts, or is not there in this round.
        """
        asked, verdict = question.payload, self._judge(question)
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
        payload, layout = self._store.release(question.round), self._terms.layout_of(question.round)
        if payload is None:
            payload = self._release(question.round)
            self._store.keep_release(question.round, payload)
        self._audit.append(
            "up", self.id, question.round, payload, schema=layout.schema, durable=False
        )
        return Answer(self.id, payload), (*self._store.release_paths(question.round), self._log)

    def name_key(self, invitation: Roster) -> bytes:
        """The public key for one attempt at a secure sum: the same however often it is asked for.

        Raises:
            Refused: see :meth:`clients.secure_sum.Party.key`; or the client is not there.
        """
        self._attend(invitation.round)
        return self._party.key(invitation)

    def contribute(self, roster: Roster) -> Answer:
        """Masked words, on disk when this returns: the same bytes however often they are asked for.

        Raises:
            Refused: see :meth:`clients.secure_sum.Party.contribute`; or the client refuses the
                shared texts, or is not there.
        """
        self._attend(roster.round)
        return Answer(self.id, self._party.contribute(roster, self._record))

    def _attend(self, server_round: int) -> None:
        if not is_there(self._config.availability, self._seed, max(server_round, 1)):
            raise Refused(Reason.timeout)  # it never saw the question

    def _judge(self, question: Question) -> Reason:
        """Whether the server means what this client agreed to."""
        if question.binding != self._terms.layout.binding:
            return Reason.wrong_binding
        if question.schema != self._terms.schema or self._terms.secure is not None:
            return Reason.wrong_field
        if not 1 <= question.round <= self._terms.num_rounds:
            return Reason.wrong_round
        return Reason.accepted

    def _release(self, server_round: int) -> bytes:
        """The bytes to release; those of another round, but for its number, if they stay the same.

        Of the round before, if there are: to list all takes longer the more there are.
        """
        layout = self._terms.layout_of(server_round)
        if self._config.refinement is None and self._terms.asking is None:
            vet(self._store, self._config.vetting)
            for before, payload in self._store.releases(server_round - 1):
                with contextlib.suppress(Refused):
                    return renewed(payload, layout, before, server_round, self.id)
        return sealed(self._record(server_round), layout, server_round, self.id)

    def _record(self, server_round: int) -> Record:
        """What this client says; the same in every round, unless its teacher is refined.

        Where a round asks about a part of the texts, that part of what it would say of all: so the
        noise on an answer is the same, whichever part it is asked for.
        """
        vet(self._store, self._config.vetting)
        asked = self._terms.asked(server_round)
        said = replace(self._said(self._teacher(server_round)), round=server_round)
        return said if asked is None else said.about(asked)

    def _said(self, teacher: FittedTeacher) -> Record:
        """Ask the teacher: about the shared texts, and about the blanks."""
        layout, wanted = self._terms.layout, self._terms.worked_out
        shared = vetted(self._store, self._config.vetting)
        voice = self._voice(teacher)
        codes = voice.codes(self._predict(teacher, shared.texts), self._seen(shared.texts))
        bias, near, size = None, None, None
        if wanted & Flags.bias:
            quiet = blanks(self._config.blanks)
            bias = voice.bias_codes(self._predict(teacher, quiet), self._seen(quiet))
        if wanted & Flags.scalar:
            near = distance_codes(self._distances(shared.texts), layout.bits)
        if wanted & Flags.num_examples:
            size = len(self._store.shard()[1])
        if told := teacher.remark():
            self._store.note(f"{told}\n")
        return Record(0, self.id, codes, bias, near, size)

    def _voice(self, teacher: FittedTeacher) -> Voice:
        """How the teacher's opinions become codes, as agreed.

        Raises:
            Refused: the terms want another number of subclasses than this client was told.
        """
        bits, wanted, bias = self._terms.bits, self._config.subclasses, self._config.bias
        if self._terms.subclasses != self._config.num_subclasses:
            raise Refused(Reason.refused)
        if wanted is None or wanted.count == 1:
            return Voice(bits, bias=bias)
        rng = stream(self._seed, "subclasses")
        return splitting(teacher, bits, self._private(), wanted, rng, bias)

    def _distances(self, texts: tuple[str, ...]) -> Floats:
        """How far public texts are from the client's own, shape (N,), whatever its teacher reads.

        Raises:
            Refused: there are no features.
        """
        if (private := self._store.features()) is None:
            raise Refused(Reason.refused)
        config = self._config
        return config.familiarity.distances(features_of(config.encoder, texts), private)

    def _refined(self, server_round: int, told: Told) -> FittedTeacher:
        """The teacher that comes of what is said in a round; from the newest before it."""
        if (refinement := self._config.refinement) is None:
            raise Refused(Reason.refused)
        lesson = Lesson(*told, *self._private())
        rng, before = stream(self._seed, "refine", server_round), self._teacher(server_round - 1)
        return self._recipe.refine(before, lesson, refinement.plan(), rng)

    def _predict(self, teacher: FittedTeacher, texts: tuple[str, ...]) -> Floats:
        """Soft predictions of shape (N, C) on public texts, whose features may be known."""
        said, strength = teacher.predict(self._seen(texts)), self._config.prior_correction
        if strength is not None:
            prior = shares(self._store.shard()[1], len(self._terms.labels))
            said = corrected(said, prior, strength)
        if (mechanism := self._mechanism) is None or mechanism.trains:
            return said if mechanism is None else mechanism.release(said)
        return mechanism.release(said, KeyedNoise(noise_key(self.home, teacher, texts)))

    def _private(self) -> tuple[Inputs, Ints]:
        """The client's own M texts, or their features, as its teacher reads; and labels (M,).

        Raises:
            Refused: there are no features.
        """
        texts, labels = self._store.shard()
        inputs: Inputs = texts if self._recipe.reads == "texts" else self._store.features()
        if inputs is None:
            raise Refused(Reason.refused)
        return inputs, labels

    def _all_seen(self) -> Inputs:
        """The shared texts, or their features, as the teacher reads."""
        return self._seen(vetted(self._store, self._config.vetting).texts)

    def _seen(self, texts: tuple[str, ...]) -> Inputs:
        """Public texts, or their features, as the teacher reads."""
        of_texts = self._recipe.reads == "texts"
        return texts if of_texts else features_of(self._config.encoder, texts)

    def _teacher(self, server_round: int) -> FittedTeacher:
        """The newest teacher of a round or before."""
        tensors = newest_teacher(self._store, server_round)
        return self._recipe.restore(tensors, len(self._terms.labels))
