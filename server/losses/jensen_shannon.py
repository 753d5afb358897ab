"""Jensen-Shannon divergence: symmetric, bounded, at ease with zeros."""

import math
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class JensenShannon(DistillationLoss):
    r"""Mean divergence of student and target from the midpoint between them, in nats.

    .. math:: \tfrac12 \mathrm{KL}(p \| m) + \tfrac12 \mathrm{KL}(q \| m),
              \qquad m = \tfrac12 (p + q)

    p is the target, q the student. Lies between 0 and log 2, and needs no floor. The bound has a
    price: a student that is certain and wrong gets almost no gradient. The minimiser for
    several teachers has no closed form; it is near their weighted mean.

    Reference: Lin. *Divergence Measures Based on the Shannon Entropy*, IEEE Transactions on
    Information Theory 37, 1991, section IV.
    """

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        # log m from log q: finite, with its gradient, even where exp(log q) is zero.
        log_m = torch.logaddexp(p.log(), log_q) - math.log(2)
        of_target = torch.xlogy(p, p) - p * log_m
        of_student = log_q.exp() * (log_q - log_m)
        return 0.5 * (of_target + of_student).sum(dim=-1)
