"""The weighted mixture of all opinions."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.weightings import normalised


@final
@component
class Mean(Aggregator):
    r"""One target per sample, T = 1: :math:`\sum_k w_k(x) p_k(x)`, weights summing to 1.

    Reference: Li, Wang. *FedMD*, 2019,
    algorithm 1, with weights. https://arxiv.org/abs/1910.03581
    """

    of_sums: ClassVar[bool] = True

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        mixture = np.zeros(probs.shape[1:], dtype=np.float64)
        for weight, opinion in zip(normalised(weights), probs, strict=True):
            mixture += weight[:, None] * opinion
        ones = np.ones((1, len(mixture)), dtype=np.float32)
        return Targets(mixture[None].astype(np.float32), ones)
