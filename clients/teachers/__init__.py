"""Teachers: models that are fitted to a client's shard and never leave the client."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.arrays import Floats, Ints


class FittedTeacher(ABC):
    """A trained model behind a single question: what do you make of these texts?"""

    @abstractmethod
    def predict(self, features: Floats) -> Floats:
        """Probabilities for features of shape (N, D): shape (N, C), float32, rows sum to 1."""

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that :meth:`Teacher.restore` needs; kept in the client's own store."""


class Teacher(ABC):
    """A recipe for a model. Fields are hyper-parameters; parameters appear on fit."""

    @abstractmethod
    def fit(
        self,
        features: Floats,
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        """Train on one shard.

        Args:
            features: shape (M, D). M may be 0: such a teacher knows nothing and predicts so.
            labels: shape (M,), in 0..C-1; labels may be absent.
            num_labels: C.
            rng: source of all randomness; equal streams give equal bits on one thread.
            progress: called with (steps done, all steps) now and then.
        """

    @abstractmethod
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        """The teacher whose :meth:`FittedTeacher.tensors` these are, same predictions bit by bit.

        Raises:
            DataError: the tensors are not a teacher of this kind for C labels.
        """
