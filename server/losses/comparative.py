"""Comparative distillation: how samples differ, not what they are."""

from typing import ClassVar, final

from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class Comparative(DistillationLoss):
    r"""Mean squared error about the differences between a sample and those of its batch.

    .. math:: \ell_i = \frac1B \sum_j \| (q_i - q_j) - (p_i - p_j) \|^2
              = \| d_i \|^2 - 2 \langle d_i, \bar d \rangle + \frac1B \sum_j \| d_j \|^2

    q is the student, p the target, d = q - p and :math:`\bar d` its mean over the batch of B
    samples; between 0 and 8. The right-hand side needs no (B, B) table. An error that is the
    same in every sample costs nothing, so with several teachers whose weights do not vary
    between samples the minimisers are their weighted mean and what differs from it by a
    constant; a teacher's own offset, its bias towards a label, is not copied. A batch of one
    has nothing to compare and costs nothing.

    The paper compares logits, in pairs and in groups, beside the label loss; here
    probabilities, because logits do not cross the wire, and alone.

    Reference: Wilf, Xu, Liang, Obolenskiy, Fried, Morency. *Comparative Knowledge
    Distillation*, WACV 2025. https://arxiv.org/abs/2311.02253
    """

    separable: ClassVar[bool] = False

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        # Centred first: the mean cancels in every difference, and large terms with it.
        d = log_q.exp() - p
        d = d - d.mean(dim=-2, keepdim=True)
        own = d.square().sum(dim=-1)
        return own + own.mean(dim=-1, keepdim=True)
