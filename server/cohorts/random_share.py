"""A part of the clients, drawn anew in every round."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from server.cohorts import Cohort, size


@final
@component
class RandomShare(Cohort):
    """So many clients, without repetition, every set of them as likely as any other.

    Attributes:
        share: of all clients, rounded up; ``k_min`` at least.

    Reference: McMahan et al. *Communication-Efficient Learning of Deep Networks from
    Decentralized Data*, AISTATS 2017, algorithm 1 (the fraction C).
    """

    share: float = Field(default=0.5, gt=0, le=1)

    @override
    def draw(
        self, server_round: int, num_clients: int, fewest: int, rng: np.random.Generator
    ) -> set[int]:
        count = size(self.share, num_clients, fewest)
        return set(rng.choice(num_clients, count, replace=False).tolist())
