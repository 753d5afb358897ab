"""Weightings: whom to believe, sample by sample."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from common.arrays import Floats
from common.predictions import Ensemble
from common.state import NOTHING, State
from server.steering import Course, Steering

__all__ = ["NOTHING", "State", "Weighting", "normalised"]


class Weighting(ABC):
    """Assigns every teacher a weight for every sample.

    Only :meth:`weigh` must be written. Nothing is kept in the component: the state is passed
    around, so a run resumes from its checkpoint.

    Attributes:
        needs: what there must be beside the predictions. Of what crosses the wire: ``bias``
            (what the teacher says in all of content-free texts), ``num_examples`` (the size of
            its shard) and ``familiarity`` (how near each text is to the shard). Of what the
            server has: ``labels``, known labels of some transfer texts.
        steers: whether it sets weights while the student learns; then every opinion must be a
            target of its own.
        sees_all_samples: whether :meth:`weigh` gives one sample a weight that depends on others.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    steers: ClassVar[bool] = False
    sees_all_samples: ClassVar[bool] = False

    @property
    def own_rule(self) -> str | None:
        """The name of the rule (:mod:`common.confidence`) by which a client can weigh itself.

        None where a weight depends on what others say, or on what only the server knows; such a
        weighting cannot be had of a secure sum.
        """
        return None

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

    def heard(self, ensemble: Ensemble, state: State) -> State:
        """What to remember of the opinions of a round; ``state``, which is not written to, or new.

        Asked once a round, after :meth:`weigh`, and only of what ``sees_all_samples``; what a
        steering remembers comes instead.
        """
        del ensemble
        return state

    def steer(self, course: Course, state: State) -> Steering | None:
        """The steering of one round; None unless it ``steers``.

        Args:
            course: what the student is about to go through, weighed by :meth:`weigh`.
            state: of the rounds before; not written to, the steering has the next one.
        """
        del course, state
        return None


def normalised(weights: Floats) -> Floats:
    """Weights (K, N) divided by their sum over clients; uniform where nobody is believed.

    Returns:
        Shape (K, N), float64; columns sum to 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    total = weights.sum(axis=0)
    believed = total > 0
    return np.where(believed, weights / np.where(believed, total, 1.0), 1.0 / len(weights))
