"""What a client says of the shared texts: its teacher's opinions, as the integers that cross."""

from dataclasses import replace

from clients.familiarity import codes as distance_codes
from clients.noise import KeyedNoise
from clients.noise_key import noise_key
from clients.own import Own
from clients.priors import corrected, shares
from clients.public import features_of
from clients.teachers import FittedTeacher
from clients.vetting import vet, vetted
from clients.voice import Voice, splitting
from common.arrays import Floats
from common.blanks import blanks
from common.reasons import Reason, Refused
from common.records import Flags, Record
from common.seeds import stream


class Speaker:
    """Asks one client's teacher, and puts into integers what it says."""

    def __init__(self, own: Own) -> None:
        self._own = own

    def record(self, server_round: int) -> Record:
        """What this client says; the same in every round, unless its teacher is refined.

        Where a round asks about a part of the texts, that part of what it would say of all: so the
        noise on an answer is the same, whichever part it is asked for.

        Raises:
            Refused: the client has no teacher, or refuses the shared texts.
        """
        own = self._own
        vet(own.store, own.config.vetting)
        asked = own.terms.asked(server_round)
        said = replace(self._said(own.teacher(server_round)), round=server_round)
        return said if asked is None else said.about(asked)

    def _said(self, teacher: FittedTeacher) -> Record:
        """Ask the teacher: about the shared texts, and about the blanks."""
        own = self._own
        layout, wanted = own.terms.layout, own.terms.worked_out
        shared = vetted(own.store, own.config.vetting)
        voice = self._voice(teacher)
        codes = voice.codes(self._predict(teacher, shared.texts), own.seen(shared.texts))
        bias, near, size = None, None, None
        if wanted & Flags.bias:
            quiet = blanks(own.config.blanks)
            bias = voice.bias_codes(self._predict(teacher, quiet), own.seen(quiet))
        if wanted & Flags.scalar:
            near = distance_codes(self._distances(shared.texts), layout.bits)
        if wanted & Flags.num_examples:
            size = len(own.store.shard()[1])
        if told := teacher.remark():
            own.store.note(f"{told}\n")
        return Record(0, own.id, codes, bias, near, size)

    def _voice(self, teacher: FittedTeacher) -> Voice:
        """How the teacher's opinions become codes, as agreed.

        Raises:
            Refused: the terms want another number of subclasses than this client was told.
        """
        terms, config = self._own.terms, self._own.config
        bits, wanted, bias = terms.bits, config.subclasses, config.bias
        if terms.subclasses != config.num_subclasses:
            raise Refused(Reason.refused)
        if wanted is None or wanted.count == 1:
            return Voice(bits, bias=bias)
        rng = stream(self._own.seed, "subclasses")
        return splitting(teacher, bits, self._own.private(), wanted, rng, bias)

    def _distances(self, texts: tuple[str, ...]) -> Floats:
        """How far public texts are from the client's own, shape (N,), whatever its teacher reads.

        Raises:
            Refused: there are no features.
        """
        if (private := self._own.store.features()) is None:
            raise Refused(Reason.refused)
        config = self._own.config
        return config.familiarity.distances(features_of(config.encoder, texts), private)

    def _predict(self, teacher: FittedTeacher, texts: tuple[str, ...]) -> Floats:
        """Soft predictions of shape (N, C) on public texts, whose features may be known."""
        own, mechanism = self._own, self._own.config.mechanism
        said, strength = teacher.predict(own.seen(texts)), own.config.prior_correction
        if strength is not None:
            prior = shares(own.store.shard()[1], len(own.terms.labels))
            said = corrected(said, prior, strength)
        if mechanism is None or mechanism.trains:
            return said if mechanism is None else mechanism.release(said)
        return mechanism.release(said, KeyedNoise(noise_key(own.store.root, teacher, texts)))
