"""Steering: weights that depend on the student, set anew at every step while it learns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from common.labels import LabelGeometry
from common.state import NOTHING, State
from server.losses import DistillationLoss


@dataclass(frozen=True, eq=False)
class Course:
    """What a student goes through in one round; fixed before the first step.

    Attributes:
        student: in training mode, maps rows (B, D) to log-probabilities (B, C); to be looked
            at, and trained by nobody but the loop.
        features: shape (N, D), float32, of the transfer texts.
        probs: shape (T, N, C), float32, what is taught.
        weights: shape (T, N), float32, before any steering; columns sum to 1.
        teachers: shape (T,), whose opinion each target is: the client's id, the number of
            clients for a teacher of the server's own, :data:`LABEL` for known labels.
        rows: shape (M,), int64, the transfer texts whose labels the server knows, ascending.
        labels: shape (M,), int64, their labels.
        loss: how wrong a student is about one target.
        geometry: the C labels; a learned ground cost is the one of the first step.
        learning_rate: of the student's optimiser.
        rng: source of all randomness of a steering.
    """

    student: nn.Module
    features: Tensor
    probs: Tensor
    weights: Tensor
    teachers: tuple[int, ...]
    rows: Tensor
    labels: Tensor
    loss: DistillationLoss
    geometry: LabelGeometry
    learning_rate: float
    rng: np.random.Generator


LABEL = -1
"""Stands for the teacher of a target that is a known label."""


@dataclass(frozen=True, eq=False)
class Step:
    """One batch, after the student's forward pass and before its update; nothing has a graph.

    Attributes:
        number: from 1.
        rows: shape (B,), int64, of the transfer set.
        log_q: shape (B, C), what the student says.
        probs: shape (T, B, C), what it is taught.
        weights: shape (T, B), by whoever steered before.
        values: shape (T, B), the loss of each pair.
        geometry: the C labels as of this step.
    """

    number: int
    rows: Tensor
    log_q: Tensor
    probs: Tensor
    weights: Tensor
    values: Tensor
    geometry: LabelGeometry


class Steering(ABC):
    """Decides, batch by batch, how much each target counts. Lives for one round.

    Draws from the course's generator only, so that equal rounds give equal bits.
    """

    @abstractmethod
    def weigh(self, step: Step) -> Tensor:
        """Weights of shape (T, B), float32, non-negative, of what the student is taught now.

        They replace ``step.weights`` and are used as they are: where columns sum to 1, the
        loss keeps its scale.
        """

    def learn(self, step: Step) -> None:
        """Look at what came of it: the student has just been updated by this step."""
        del step

    def state(self) -> State:
        """What is to be remembered in the next round; nothing unless learned."""
        return NOTHING


@dataclass(frozen=True)
class Chain(Steering):
    """Several, one after the other; each sees the weights of those before it."""

    links: tuple[Steering, ...]

    @override
    def weigh(self, step: Step) -> Tensor:
        """The weights of the last one."""
        for link in self.links:
            weights = link.weigh(step)
            step = replace(step, weights=weights)
        return step.weights

    @override
    def learn(self, step: Step) -> None:
        """All of them."""
        for link in self.links:
            link.learn(step)

    @override
    def state(self) -> State:
        """Of the first, which is the weighting's."""
        return self.links[0].state()
