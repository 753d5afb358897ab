"""Clients that leave for good."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.availability import Availability
from common.component import component


@final
@component
class Departures(Availability):
    """Before every round each client that is still there leaves with the same probability.

    The number of rounds that a client answers is geometric.

    Attributes:
        rate: probability to leave before a round.
    """

    rate: float = Field(default=0.1, ge=0, le=1)

    @override
    def draw(self, rng: np.random.Generator, num_rounds: int) -> NDArray[np.bool_]:
        return np.logical_and.accumulate(rng.random(num_rounds) >= self.rate)
