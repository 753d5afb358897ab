"""The mean of logits."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import floored_logs, one_target
from server.opinions import distributions
from server.weightings import normalised


@final
@component
class GeometricMean(Aggregator):
    r"""One target per sample, T = 1: the softmax of the weighted mean of logits.

    .. math:: a_c(x) \propto \exp \sum_k w_k(x) \log p_{k,c}(x)

    Logits and log-probabilities differ by one constant per teacher and sample, which the softmax
    does not see. So it needs the predictions only. Whoever holds a label for impossible nearly
    vetoes it.

    Departures: an exact zero would veto alone, and what crosses an 8-bit wire as zero was below
    .002 or so. So what lies below ``floor`` is read as the floor, or as the most that a believed
    teacher gives to that label if that is less. Teachers who agree are then repeated, and what
    all hold for impossible stays so. The sources hold logits, and weigh all clients the same.

    Attributes:
        floor: what a smaller probability is read as, where another teacher gives as much.

    Reference: Lin, Kong, Stich, Jaggi. *Ensemble Distillation for Robust Model Fusion in
    Federated Learning* (FedDF), NeurIPS 2020, algorithm 1, https://arxiv.org/abs/2006.07242;
    Li, Wang. *FedMD*, 2019, https://arxiv.org/abs/1910.03581; Genest, Zidek. *Combining
    Probability Distributions*, 1986 (the logarithmic opinion pool).
    """

    of_sums: ClassVar[bool] = True

    floor: float = Field(default=1e-3, gt=0, le=0.1)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        rows, shares = distributions(probs), normalised(weights)
        logs, possible = floored_logs(rows, shares, self.floor)
        mean = np.where(possible, np.einsum("kn,knc->nc", shares, logs), -np.inf)
        return one_target(np.exp(mean - mean.max(axis=1, keepdims=True)))
