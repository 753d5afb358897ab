"""Kullback-Leibler divergence, the usual loss of knowledge distillation."""

from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class Kl(DistillationLoss):
    r"""Forward divergence of the student from the target, in nats.

    :math:`\mathrm{KL}(p \| q) = \sum_c p_c \log (p_c / q_c)`; p is the target, q the student.
    The entropy of p is included though it has no gradient: the value is 0 at q = p, so losses
    of different teachers can be compared. Blind to label distance: calling five stars "four"
    costs as much as calling it "one".

    Reference: Hinton, Vinyals, Dean. *Distilling the Knowledge in a Neural Network*, 2015,
    section 2 (there at a temperature; here at 1). https://arxiv.org/abs/1503.02531
    """

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        return (torch.xlogy(p, p) - p * log_q).sum(dim=-1)
