"""Believe everyone equally."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from server.weightings import State, Weighting


@final
@component
class Uniform(Weighting):
    """Weight 1 for every teacher and sample, whatever it knows and however much it has seen.

    Reference: Li, Wang. *FedMD*, 2019,
    algorithm 1 (the plain average). https://arxiv.org/abs/1910.03581
    """

    @property
    @override
    def own_rule(self) -> str:
        return "uniform"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        return np.ones(ensemble.probs.shape[:2], dtype=np.float64)
