"""Clients that miss a round now and then."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.availability import Availability
from common.component import component


@final
@component
class RandomDropout(Availability):
    """Every client misses every round with the same probability, independently.

    Attributes:
        rate: probability to miss a round.
    """

    rate: float = Field(default=0.1, ge=0, le=1)

    @override
    def draw(self, rng: np.random.Generator, num_rounds: int) -> NDArray[np.bool_]:
        return rng.random(num_rounds) >= self.rate
