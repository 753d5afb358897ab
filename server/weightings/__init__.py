"""Weightings: whom to believe, sample by sample."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.arrays import Floats
from common.predictions import Ensemble

State: TypeAlias = dict[str, NDArray[Any]]
"""What a weighting remembers between rounds; named arrays, so that it can be checkpointed."""

NOTHING: State = {}
"""The state of a weighting that remembers nothing; never written to."""


class Weighting(ABC):
    """Assigns every teacher a weight for every sample.

    Only :meth:`weigh` must be written. Nothing is kept in the component: the state is passed
    around, so a run resumes from its checkpoint.

    Attributes:
        needs: what must cross the wire beside the predictions, of ``bias`` (the teacher's mean
            prediction on content-free texts) and ``num_examples`` (the size of its shard).
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def start(self, num_clients: int) -> State:
        """The state before the first round of a federation of ``num_clients``."""
        del num_clients
        return {}

    @abstractmethod
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        """Weights of shape (K, N), float64, non-negative; columns need not sum to 1.

        K counts those who answered, who may be fewer than the federation: index anything in
        ``state`` that is per client by ``ensemble.clients``.
        """


def normalised(weights: Floats) -> Floats:
    """Weights (K, N) divided by their sum over clients; uniform where nobody is believed.

    Returns:
        Shape (K, N), float64; columns sum to 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    total = weights.sum(axis=0)
    believed = total > 0
    return np.where(believed, weights / np.where(believed, total, 1.0), 1.0 / len(weights))
