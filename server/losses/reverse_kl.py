"""Kullback-Leibler divergence the other way round: the student picks a mode."""

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
class ReverseKl(DistillationLoss):
    r"""Reverse divergence, of the target from the student, in nats.

    :math:`\mathrm{KL}(q \| \tilde p) = \sum_c q_c \log (q_c / \tilde p_c)`; q is the student,
    :math:`\tilde p \propto \max(p, \text{floor})` the target. Where :func:`Kl` makes the student
    cover every label a teacher believes in, this makes it leave alone what a teacher does not:
    with several teachers its minimiser is their weighted **geometric mean**, normalised.

    The divergence is infinite where the target is zero; so entries below ``floor`` are read as
    ``floor``. Values lie between 0 and about -log(floor).

    Attributes:
        floor: the smallest target probability believed, as in ``symmetric_kl``.

    Reference: Minka. *Divergence Measures and Message Passing*, 2005, section 3; in
    distillation: Gu, Dong, Wei, Huang. *MiniLLM*, ICLR 2024, section 2.1.
    https://arxiv.org/abs/2306.08543. The minimiser: Genest, Zidek. *Combining Probability
    Distributions*, 1986 (logarithmic opinion pool).
    """

    floor: float = Field(default=1e-3, gt=0, lt=0.5)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        believed = p.clamp_min(self.floor)
        log_p = (believed / believed.sum(dim=-1, keepdim=True)).log()
        return (log_q.exp() * (log_q - log_p)).sum(dim=-1)

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        # The floored target sums to at most 1 + C * floor; at q = p that costs its logarithm.
        return math.log1p(len(geometry) * self.floor)
