"""The student, and all that it takes from one round to the next."""

from collections.abc import Mapping

from common.labels import LabelGeometry
from common.terms import Terms
from server.answers import Answers
from server.config import ServerConfig
from server.keeping import Kept
from server.memory import (
    pack_geometry,
    pack_state,
    pack_student,
    restore_geometry,
    restore_state,
    restore_student,
)
from server.pretraining import Classroom
from server.progress import Progress
from server.teaching import Aim, Method
from server.weightings import State


class Learner:
    """Learns by the server's method, which remembers nothing itself.

    Attributes:
        student: as it is now.
        cost: the ground cost, as it was learned so far.
    """

    def __init__(
        self, config: ServerConfig, terms: Terms, room: Classroom, seed: int, progress: Progress
    ) -> None:
        """Start with an untrained student.

        Args:
            config: the server's half of the experiment.
            terms: what all parties agreed on.
            room: the shared texts, and what else is public about them.
            seed: the server's own seed.
            progress: told (phase, done, total).

        Raises:
            ConfigError: the loss cannot serve the labels, or something else cannot.
        """
        self.cost: LabelGeometry = config.geometry.build(terms.geometry)
        config.loss.check(self.cost)
        self._method = Method(config, room, self.cost, terms.num_clients, seed, terms.subclasses)
        self._state: State = self._method.start()
        self.student = self._method.student(len(terms.labels))
        self._kept = Kept(terms.asking, len(terms.labels))
        self._progress = progress

    def aim(self, server_round: int, answers: Answers) -> Aim:
        """What clients say of the texts that they were asked about, weighed and combined."""
        asked = self._kept.asked(server_round)
        return self._method.aim(answers, self.cost, self._state, asked)

    def learn(self, server_round: int, aim: Aim) -> float:
        """Distil what clients say, and what is kept of earlier rounds, into the student.

        Returns:
            The loss of the last step.

        Raises:
            ConfigError: the loss cannot serve the cost, or training diverged.
        """
        taught = self._method.teach(
            self.student,
            self._kept.completed(server_round, aim),
            self.cost,
            self._state,
            server_round,
            lambda done, total: self._progress("distil", done, total),
        )
        self.cost, self._state = taught.lesson.geometry, taught.state
        return taught.lesson.losses[-1]

    @property
    def parts(self) -> dict[str, bytes]:
        """What a checkpoint has to hold of it."""
        made = {
            "student.safetensors": pack_student(self.student),
            "weighting.safetensors": pack_state(self._state),
            "geometry.safetensors": pack_geometry(self.cost),
        }
        return made | self._kept.parts

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Go back to a checkpoint."""
        restore_student(self.student, parts["student.safetensors"])
        self._state = restore_state(parts["weighting.safetensors"])
        self.cost = restore_geometry(self.cost, parts["geometry.safetensors"])
        self._kept.restore(parts)
