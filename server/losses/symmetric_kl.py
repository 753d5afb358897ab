"""Jeffreys divergence, the entropy baseline KNOT is compared with."""

import math
from typing import final

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class SymmetricKl(DistillationLoss):
    r"""Half the sum of both divergences, in nats.

    .. math:: \tfrac12 (\mathrm{KL}(p \| q) + \mathrm{KL}(q \| p))
              = \tfrac12 \sum_c (p_c - q_c) (\log p_c - \log q_c)

    p is the target, q the student. KNOT's released code uses it as its "entropy" baseline
    and also averages over the C classes; we sum, so our values are C times larger.

    The divergence is infinite where the target is zero, and targets that crossed the wire in
    few bits often are. Such entries are read as ``floor``; entries above it are exact.

    Attributes:
        floor: the smallest target probability believed. One code of an 8-bit wire is 1/255:
            what arrives as zero was below .002 or so, and is read as .001.

    Reference: Jeffreys. *An Invariant Form for the Prior Probability in Estimation
    Problems*, 1946; as a baseline: Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, released
    code. https://arxiv.org/abs/2110.02432
    """

    floor: float = Field(default=1e-3, gt=0, lt=0.5)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        log_p = p.clamp_min(self.floor).log()
        return 0.5 * ((p - log_q.exp()) * (log_p - log_q)).sum(dim=-1)

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        # A term is negative only for p < q < floor, where it is least at p = 0, q = floor / e.
        return len(geometry) * self.floor / (2 * math.e)
