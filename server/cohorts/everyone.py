"""All are asked."""

from typing import final

import numpy as np
from typing_extensions import override

from common.component import component
from server.cohorts import Cohort


@final
@component
class Everyone(Cohort):
    """Every client in every round."""

    @override
    def draw(
        self, server_round: int, num_clients: int, fewest: int, rng: np.random.Generator
    ) -> set[int]:
        return set(range(num_clients))
