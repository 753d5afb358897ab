"""Cross-entropy at a temperature, the loss distillation began with."""

from typing import final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class CrossEntropy(DistillationLoss):
    r"""Cross-entropy of both sides softened, in nats times the temperature squared.

    .. math:: -T^2 \sum_c p^{(T)}_c \log q^{(T)}_c, \qquad
              p^{(T)} \propto p^{1/T}, \quad q^{(T)} \propto q^{1/T}

    p is the target, q the student. Gradients shrink like :math:`1/T^2`, hence the factor.
    Teachers send probabilities, so the power stands in for dividing their logits; zeros stay
    zeros. At T = 1 the gradient is that of ``kl``; the value differs from it by the entropy of
    the target, so it is at least that entropy times :math:`T^2` and has no upper bound. With
    several teachers the softened student becomes the weighted mean of the softened teachers:
    q is their power mean with exponent 1/T, and at T = 1 their mean.

    Attributes:
        temperature: T; above 1 small probabilities count for more.

    Reference: Hinton, Vinyals, Dean. *Distilling the Knowledge in a Neural Network*, 2015,
    sections 2 and 2.1. https://arxiv.org/abs/1503.02531
    """

    temperature: float = Field(default=1.0, gt=0)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        p_soft = torch.softmax(p.log() / self.temperature, dim=-1)
        log_q_soft = torch.log_softmax(log_q / self.temperature, dim=-1)
        return -(self.temperature**2) * (p_soft * log_q_soft).sum(dim=-1)
