"""One client: private data and a teacher inside, soft predictions out."""

import contextlib

from clients.availability import is_there
from clients.keeping import to_learn
from clients.outbound import sealed
from clients.own import Own
from clients.pupil import Pupil
from clients.refining import judged
from clients.secure_sum import Party
from clients.speaker import Speaker
from clients.store import Store
from clients.teachers import FittedTeacher, Shard, Teacher
from clients.vetting import vet
from common.audit import AuditLog
from common.flushing import settled
from common.messages import Answer, Consensus, Question
from common.reasons import Reason, Refused
from common.records import Flags, renewed
from common.rosters import Roster


class Client:
    """Answers questions about the shared texts; keeps everything else to itself."""

    def __init__(self, store: Store) -> None:
        self._own = own = Own(store)
        self._store, self._terms, self._config = store, own.terms, own.config
        self.id, self.home = own.id, store.root
        self._pupil, self._speaker = Pupil(own), Speaker(own)
        self.stacks = own.config.vectorised and own.recipe.stacks and self._pupil.trained_by is None
        self._log = f"{own.public}/audit/client-{self.id}.jsonl"
        self._audit = AuditLog(self._log)
        self._party = Party(store, self._terms, self.id, self._audit)

    def encode(self) -> None:
        """Look at the shared texts; compute the features of the private ones, unless there.

        Who reads texts needs no features, and gets none unless it says how near texts are.

        Raises:
            Refused: the shared texts are not those agreed on, or look like probes.
        """
        self._vet()
        reads = self._own.recipe.reads == "features"
        wanted = reads or self._terms.layout.flags & Flags.scalar
        if wanted and self._store.features() is None:
            texts, _ = self._store.shard()
            self._store.keep_features(self._config.encoder.encode(texts))

    def train(self) -> None:
        """Fit the teacher, unless there is one.

        Raises:
            Refused: there are no features, or the client refuses the shared texts.
        """
        self._vet()
        self._pupil.train()

    def untaught(self) -> tuple[Teacher, int, Shard] | None:
        """The recipe, C, and what the teacher is to be fitted to; None if there is a teacher.

        Raises:
            Refused: see :meth:`train`.
        """
        self._vet()
        return self._pupil.untaught()

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
        self._attend(asked.round)  # else it never heard what was said
        verdict, said = judged(self._terms, consensus)
        self._audit.append(
            "down", self.id, asked.round, consensus.payload, schema=asked.schema, verdict=verdict
        )
        if said is None:
            raise Refused(verdict)
        self._vet()
        told = to_learn(self._store, consensus, said, self._own.all_seen())
        self._pupil.refine(asked.round, told)

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
            The answer; the files and folders to be :func:`common.flushing.settled` first, for
            several clients of one process at once.

        Raises:
            Refused: the server means another run, transfer set, class order or layout, or
                the client refuses the shared texts, or is not there in this round.
        """
        asked, verdict = question.payload, self._judge(question)
        if verdict is Reason.accepted:
            self._attend(question.round)
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
        return Answer(self.id, self._party.contribute(roster, self._speaker.record))

    def _attend(self, server_round: int) -> None:
        """Be there, or never have seen the question.

        Raises:
            Refused: as if it came too late.
        """
        if not is_there(self._config.availability, self._own.seed, max(server_round, 1)):
            raise Refused(Reason.timeout)

    def _vet(self) -> None:
        vet(self._store, self._config.vetting)

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
            self._vet()
            for before, payload in self._store.releases(server_round - 1):
                with contextlib.suppress(Refused):
                    return renewed(payload, layout, before, server_round, self.id)
        return sealed(self._speaker.record(server_round), layout, server_round, self.id)
