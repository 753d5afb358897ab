"""One round of the student: whom to believe, what to aim at, and the lesson itself.

Whoever trains a student from predictions, the server of a run or a comparison of many methods
on the predictions of one, goes through here, so that both get the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.predictions import Ensemble
from common.seeds import stream
from common.state import State
from server.aggregators import Targets
from server.answers import Opinions
from server.combining import combine
from server.config import ServerConfig
from server.distil import Lesson, distil
from server.heads import Headed, build
from server.pretraining import Classroom, joined, learn_labels, opinion
from server.steering import LABEL, Chain, Course, Steering
from server.subclasses import check, coarse, fine, heads_for
from server.weightings import normalised


@dataclass(frozen=True, eq=False)
class Aim:
    """What the student is to learn from in one round.

    Attributes:
        teachers: shape (K,), whose opinions were weighed, ascending.
        weights: shape (K, N), how much each was believed, float32.
        targets: T of them for each of the N texts, known labels not among them; of C labels, or
            of C * S pseudo-subclasses where the student has heads for them.
        subclasses: S in ``targets``.
        rows: shape (N,), which of the transfer texts the targets are about; None for all.
        state: what the weighting remembers of the opinions; None for what it did before.
    """

    teachers: Ints
    weights: Floats
    targets: Targets
    subclasses: int = 1
    rows: Ints | None = None
    state: State | None = None

    @property
    def of_labels(self) -> Targets:
        """The targets (T, N, C), without subclasses."""
        return coarse(self.targets, self.subclasses)


@dataclass(frozen=True, eq=False)
class Taught:
    """What came of a round.

    Attributes:
        lesson: of the distillation.
        state: what the weighting remembers now.
    """

    lesson: Lesson
    state: State


class Method:
    """The server's way to learn, with what it knows before any client is heard."""

    def __init__(
        self,
        config: ServerConfig,
        room: Classroom,
        cost: LabelGeometry,
        num_clients: int,
        seed: int,
        subclasses: int = 1,
    ) -> None:
        """Train the server's own teacher, if there is one.

        Args:
            config: the server's half of an experiment.
            room: what the student may learn from, beside opinions.
            cost: the ground cost of the first step.
            num_clients: size of the federation.
            seed: the server's own seed.
            subclasses: S, in how many parts opinions split every label.

        Raises:
            ConfigError: the loss cannot serve the subclasses, or something else cannot.
        """
        self._config, self._room, self._seed = config, room, seed
        self._num_clients = num_clients
        self._heads = heads_for(config, num_clients, subclasses)
        if self._heads is not None:
            check(config)
            config.loss.check(fine(cost, subclasses))
        self._own = self._pretrained(cost)

    def student(self, num_labels: int) -> nn.Module:
        """A student before its first round."""
        if self._own is not None and self._config.pretraining and self._config.pretraining.start:
            return self._copy(self._own, num_labels)
        return self._built(num_labels)

    def start(self) -> State:
        """What the weighting remembers before the first round."""
        return self._config.weighting.start(self._num_clients + self._has_own_teacher)

    def aim(
        self, opinions: Opinions, cost: LabelGeometry, state: State, asked: Ints | None = None
    ) -> Aim:
        """Weigh the opinions, the server's own among them, and form the targets.

        Args:
            opinions: what K teachers say.
            cost: the ground cost.
            state: what the weighting remembers.
            asked: the transfer texts that they speak of, by place; not given: of all.
        """
        if asked is not None:
            return self._part(opinions, cost, state, asked)
        config, room, teachers = self._config, self._room, opinions.clients
        own = None
        if self._own is not None and self._has_own_teacher:
            own = opinion(self._own, room)
            teachers = np.append(teachers, self._num_clients)

        def heard(part: slice) -> Ensemble:
            labels = None if room.labels is None else room.labels[part]
            ensemble = replace(opinions.rows(part), labels=labels)
            if own is None:
                return ensemble
            return joined(ensemble, replace(own, probs=own.probs[part]), self._num_clients)

        samples, count = len(room.features), 1
        if self._heads is not None:
            count = self._heads.subclasses
            cost = fine(cost, count)
        made = combine(heard, samples, config.weighting, state, config.aggregator, cost)
        return Aim(teachers, made.weights, made.targets, count, state=made.state)

    def _part(self, opinions: Opinions, cost: LabelGeometry, state: State, asked: Ints) -> Aim:
        """The same about some texts, or none; such a run has neither labels nor subclasses."""
        config, samples = self._config, len(asked)
        if samples == 0:
            nothing = Targets(np.zeros((1, 0, len(cost)), np.float32), np.zeros((1, 0), np.float32))
            return Aim(opinions.clients, np.zeros((len(opinions.clients), 0)), nothing, rows=asked)
        made = combine(opinions.rows, samples, config.weighting, state, config.aggregator, cost)
        return Aim(opinions.clients, made.weights, made.targets, rows=asked, state=made.state)

    def teach(
        self,
        student: nn.Module,
        aim: Aim,
        cost: LabelGeometry,
        state: State,
        server_round: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Taught:
        """Train ``student`` in place.

        Raises:
            ConfigError: the loss cannot serve the cost, or training diverged.
        """
        config, room = self._config, self._room
        targets, teachers = self._with_labels(aim, len(cost))
        steering = self._steering(student, targets, teachers, cost, state, server_round)
        lesson = distil(
            student.taught_by(aim.teachers) if isinstance(student, Headed) else student,
            room.features if aim.rows is None else room.features[aim.rows],
            targets,
            config.loss,
            cost if aim.subclasses == 1 else fine(cost, aim.subclasses),
            config.schedule,
            stream(self._seed, "distil", server_round),
            progress,
            config.geometry.refine,
            steering,
        )
        if isinstance(student, Headed):
            student.heard(aim.teachers, normalised(aim.weights))
            lesson = replace(lesson, geometry=cost)
        if config.fine_tuning is not None:
            rng = stream(self._seed, "fine_tuning", server_round)
            learn_labels(student, room, cost, config.fine_tuning, rng)
        heard = state if aim.state is None else aim.state
        remembered = heard if steering is None else steering.state() or heard
        return Taught(lesson, remembered)

    @property
    def _has_own_teacher(self) -> bool:
        return self._config.pretraining is not None and self._config.pretraining.teacher

    def _pretrained(self, cost: LabelGeometry) -> nn.Module | None:
        if self._config.pretraining is None:
            return None
        model, rng = self._built(len(cost)), stream(self._seed, "pretraining")
        learn_labels(model, self._room, cost, self._config.pretraining.schedule, rng)
        return model

    def _built(self, num_labels: int) -> nn.Module:
        width = self._room.features.shape[1]
        rng = stream(self._seed, "student")
        return build(self._config.student, width, num_labels, self._heads, rng)

    def _copy(self, model: nn.Module, num_labels: int) -> nn.Module:
        made = self._built(num_labels)
        made.load_state_dict(model.state_dict())
        return made

    def _with_labels(self, aim: Aim, num_labels: int) -> tuple[Targets, tuple[int, ...]]:
        """The targets and whose they are; the known labels are one more, the last."""
        targets, count = aim.targets, len(aim.targets.probs)
        teachers = tuple(map(int, aim.teachers)) if count == len(aim.teachers) else (0,) * count
        share, rows, labels = self._config.label_weight, self._room.known, self._room.labels
        if share is None or labels is None:
            return targets, teachers
        probs = np.full((1, *targets.probs.shape[1:]), 1 / num_labels, dtype=np.float32)
        probs[0, rows] = np.eye(num_labels, dtype=np.float32)[labels[rows]]
        weights = np.zeros((1, targets.weights.shape[1]), dtype=np.float32)
        weights[0, rows] = share
        both = (
            np.concatenate([targets.probs, probs]),
            np.concatenate([targets.weights * (1 - weights), weights]),
        )
        return Targets(*both), (*teachers, LABEL)

    def _steering(
        self,
        student: nn.Module,
        targets: Targets,
        teachers: tuple[int, ...],
        cost: LabelGeometry,
        state: State,
        server_round: int,
    ) -> Steering | None:
        config, room = self._config, self._room
        if not config.weighting.steers and config.reweighting is None:
            return None
        rows, labels = room.known, room.labels
        known = np.empty(0, np.int64) if labels is None else labels[rows]
        course = Course(
            student,
            torch.from_numpy(np.ascontiguousarray(room.features, dtype=np.float32)),
            torch.from_numpy(targets.probs),
            torch.from_numpy(targets.weights),
            teachers,
            torch.from_numpy(rows),
            torch.from_numpy(known),
            config.loss,
            cost,
            config.schedule.learning_rate,
            stream(self._seed, "steering", server_round),
        )
        links = (
            config.weighting.steer(course, state),
            None if config.reweighting is None else config.reweighting.steer(course),
        )
        found = tuple(link for link in links if link is not None)
        return found[0] if len(found) == 1 else Chain(found)
