"""Refinements: what a client does with what the server says back."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher is refined with.

    Attributes:
        shared: the N shared texts or their features (N, D), as the teacher reads.
        consensus: shape (N, C), float64, what the server says of them; rows sum to 1.
        private: the client's own M texts or their features (M, D).
        labels: shape (M,), in 0..C-1.
    """

    shared: Any
    consensus: Floats
    private: Any
    labels: Ints


@dataclass(frozen=True)
class Stage:
    """One part of a refinement, for teachers that learn step by step.

    Attributes:
        epochs: passes over the rows; 0 skips the stage.
        learning_rate: of its steps; None for the teacher's own.
        batch_size: rows per step; None for the teacher's own.
    """

    epochs: int
    learning_rate: float | None
    batch_size: int | None


@dataclass(frozen=True)
class Plan:
    """What a teacher is told of a refinement.

    Attributes:
        digest: how the consensus on the shared texts is learned, first.
        revisit: how the private labels are learned, afterwards.
        temperature: at which the consensus is learned; 1 leaves it as it is.
        share: what a shared text counts for beside a private one, where a teacher does not
            take steps and both are learned at once.
    """

    digest: Stage
    revisit: Stage
    temperature: float
    share: float


class Refinement(ABC):
    """How a client goes on from its last teacher, given a consensus and its own texts.

    How long and how strongly is said here; what is done is the teacher's own business
    (:meth:`clients.teachers.Teacher.refine`).
    """

    @abstractmethod
    def plan(self) -> Plan:
        """The same for every round and every client."""


def softened(consensus: Floats, temperature: float) -> Floats:
    """The consensus (N, C) to the power 1 / temperature, rows scaled to sum 1, float64."""
    powers = np.asarray(consensus, dtype=np.float64) ** (1 / temperature)
    soft: Floats = powers / powers.sum(axis=1, keepdims=True)
    return soft
