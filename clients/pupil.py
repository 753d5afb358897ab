"""How a client comes by its teachers: the first one, and what refinements make of it."""

from clients.budget import allow, written
from clients.keeping import Told
from clients.mechanisms import Holding, Mechanism
from clients.own import Own
from clients.refinements import Lesson
from clients.teachers import FittedTeacher, Shard, Teacher
from common.reasons import Reason, Refused
from common.seeds import stream


class Pupil:
    """Fits one client's teachers; each is on disk when the method that makes it returns.

    Attributes:
        trained_by: the mechanism that trains, where one does: its noise is drawn one by one.
    """

    def __init__(self, own: Own) -> None:
        self._own, self._store = own, own.store
        mechanism = own.config.mechanism
        self.trained_by = mechanism if mechanism is not None and mechanism.trains else None

    def train(self) -> None:
        """Fit the teacher, unless there is one.

        Raises:
            Refused: there are no features.
        """
        if (untaught := self.untaught()) is not None:
            recipe, num_labels, shard = untaught
            if self.trained_by is None:
                self._store.keep_teacher(recipe.fit(*shard[:2], num_labels, shard.rng).tensors())
            else:
                self._train_privately(self.trained_by, None, 1)

    def untaught(self) -> tuple[Teacher, int, Shard] | None:
        """The recipe, C, and what the teacher is to be fitted to; None if there is a teacher.

        Raises:
            Refused: see :meth:`train`.
        """
        if self._store.teacher() is not None:
            return None
        shard = Shard(*self._own.private(), stream(self._own.seed, "fit"))
        return self._own.recipe, len(self._own.terms.labels), shard

    def refine(self, server_round: int, told: Told) -> None:
        """Go on from the last teacher with what is said, unless that was done in this round.

        The teachers before stay.

        Raises:
            Refused: there is no teacher to go on from.
        """
        if self._store.teacher(server_round) is not None or len(told[1]) == 0:
            return
        if self.trained_by is not None:
            self._train_privately(self.trained_by, told, server_round)
        else:
            self._store.keep_teacher(self._refined(server_round, told).tensors(), server_round)

    def _train_privately(self, mechanism: Mechanism, told: Told | None, server_round: int) -> None:
        """Fit the teacher of a round by the mechanism; it and what it cost become one file."""
        allow(mechanism, self._store)
        own = self._own
        shared, consensus = told or (own.all_seen(), None)
        holding = Holding(*own.private(), len(own.terms.labels), shared, consensus)
        rng = stream(own.seed, "fit", *(() if server_round == 1 else (server_round,)))
        fitted, cost = mechanism.fit(own.recipe, holding, rng)
        self._store.keep_teacher(fitted.tensors(), server_round, written(cost))

    def _refined(self, server_round: int, told: Told) -> FittedTeacher:
        """The teacher that comes of what is said in a round; from the newest before it."""
        own = self._own
        if (refinement := own.config.refinement) is None:
            raise Refused(Reason.refused)
        lesson = Lesson(*told, *own.private())
        rng, before = stream(own.seed, "refine", server_round), own.teacher(server_round - 1)
        return own.recipe.refine(before, lesson, refinement.plan(), rng)
