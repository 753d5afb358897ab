"""Cohorts: whom the server asks in a round."""

import math
from abc import ABC, abstractmethod

import numpy as np


class Cohort(ABC):
    """Chooses clients, round by round, knowing nothing but their number."""

    @abstractmethod
    def draw(
        self, server_round: int, num_clients: int, fewest: int, rng: np.random.Generator
    ) -> set[int]:
        """The ids of those who are asked, of 0..K-1.

        Args:
            server_round: counted from 1.
            num_clients: K.
            fewest: no fewer are asked, for a round needs that many answers; at most K.
            rng: of this round, and of no other purpose.
        """


def size(share: float, num_clients: int, fewest: int) -> int:
    """How many a share of the clients is: rounded up, never fewer than ``fewest``, at most all."""
    # A share such as .1 of 30 must be 3, whatever the last bit of the product says.
    return min(num_clients, max(fewest, 1, math.ceil(share * num_clients - 1e-9)))
