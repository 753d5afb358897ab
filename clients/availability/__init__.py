"""Availability: in which rounds a client answers; drawn by seed, so that drop-outs repeat."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.seeds import stream


class Availability(ABC):
    """A pattern of drop-outs. A simulation's device: real clients need no policy to vanish.

    Attributes:
        is_certain: whether everybody is always there, so that nothing need be drawn.
    """

    is_certain: ClassVar[bool] = False

    @abstractmethod
    def draw(self, rng: np.random.Generator, num_rounds: int) -> NDArray[np.bool_]:
        """When one client is there: shape (num_rounds,), bool.

        The first r values are the same however many rounds are drawn.
        """


def is_there(availability: Availability, seed: int, server_round: int) -> bool:
    """Whether a client with this seed of its own answers in a round, counted from 1."""
    if availability.is_certain:
        return True
    rng = stream(seed, "availability")
    return bool(availability.draw(rng, server_round)[server_round - 1])
