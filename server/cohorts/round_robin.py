"""A part of the clients, one part after the other."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from server.cohorts import Cohort, size


@final
@component
class RoundRobin(Cohort):
    """The next clients in the order of their ids; after the last comes the first again.

    Nobody is asked for the second time before everybody was asked once.

    Attributes:
        share: of all clients, rounded up; ``k_min`` at least.
    """

    share: float = Field(default=0.5, gt=0, le=1)

    @override
    def draw(
        self, server_round: int, num_clients: int, fewest: int, rng: np.random.Generator
    ) -> set[int]:
        count = size(self.share, num_clients, fewest)
        first = (server_round - 1) * count
        return {(first + n) % num_clients for n in range(count)}
