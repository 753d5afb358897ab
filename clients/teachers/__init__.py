"""Teachers: models that are fitted to a client's shard and never leave the client."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from common.arrays import Floats, Ints
from common.encoders import Encoder

Inputs = Any
"""What a teacher looks at: features (M, D), float32, or M texts, as its ``reads`` says.

``Any``, so that a member may say which of the two it means.
"""


class FittedTeacher(ABC):
    """A trained model behind a single question: what do you make of these texts?"""

    @abstractmethod
    def predict(self, inputs: Inputs) -> Floats:
        """Probabilities for N texts or their features (N, D), as :attr:`Teacher.reads` says.

        Returns:
            Shape (N, C), float32; rows sum to 1, whatever labels the shard held.
        """

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that :meth:`Teacher.restore` needs; kept in the client's own store."""


class Teacher(ABC):
    """A recipe for a model. Fields are hyper-parameters; parameters appear on fit.

    Attributes:
        reads: ``features`` of the run's encoder, which are then computed and kept, or the
            ``texts`` themselves.
        learns: whether it can know its shard at all; one that does not has nothing private.
    """

    reads: ClassVar[Literal["features", "texts"]] = "features"
    learns: ClassVar[bool] = True

    @abstractmethod
    def fit(
        self,
        inputs: Inputs,
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        """Train on one shard.

        Args:
            inputs: M texts or their features (M, D), as :attr:`reads` says. M may be 0: such
                a teacher knows nothing and predicts so.
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

    def resolved(self, encoder: Encoder) -> "Teacher":
        """A recipe of the same bits in which nothing is left to the run or to the place.

        Args:
            encoder: of the run.

        Raises:
            ConfigError: the recipe cannot be followed in this run or in this installation.
        """
        del encoder
        return self
