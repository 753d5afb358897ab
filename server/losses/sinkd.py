"""SinKD: transport between the batch of the student's rows and the batch of the target's."""

import math
from typing import ClassVar, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss

_FARTHEST = 2.0  # L1 distance of two distributions without a common label


@final
@component
class Sinkd(DistillationLoss):
    r"""Entropic transport cost between two batches of distributions.

    .. math:: \min_{P 1 = P^\top 1 = 1/B} \; \sum_{ij} P_{ij} D_{ij}
              + \varepsilon \, \mathrm{KL}(P \,\|\, 1/B^2), \qquad
              D_{ij} = \| q^{(T)}_i - p^{(T)}_j \|_1

    i and j are samples of a batch of B; q is the student, p the target, both softened to
    :math:`q^{(T)} \propto q^{1/T}`. A sample's value is its share, such that the mean over the
    batch is the transport cost. The cost lies between samples: labels have no distance here.

    The plan P, and with it everything but D, is constant to the gradient, which is that of the
    dual value returned (Danskin's theorem). The released code returns the first sum alone and
    differentiates through its twenty iterations; the value here is larger by the penalty.

    P may pair a student's row with *another* sample's target, so the loss tells which
    predictions a batch should hold, not who should make them: alone it need not teach the right
    labels. The paper adds it to the losses of single samples; ``kl_weight`` is that neighbour.

    Attributes:
        epsilon: regularisation, in units of D; D is at most 2. Below 1/40 the kernel leaves the
            floating-point range.
        sweeps: scaling steps.
        temperature: T above.
        kl_weight: weight of the divergence KL(p || q), in nats at temperature 1, beside the
            transport cost, whose weight is 1.

    Reference: Cui et al. *Sinkhorn Distance Minimization for Knowledge Distillation*,
    LREC-COLING 2024, https://arxiv.org/abs/2402.17110; the defaults of epsilon, sweeps and
    temperature are those of its released code.
    """

    separable: ClassVar[bool] = False

    epsilon: float = Field(default=0.1, ge=1 / 40, le=10)
    sweeps: int = Field(default=20, ge=1)
    temperature: float = Field(default=2.0, gt=0)
    kl_weight: float = Field(default=0.0, ge=0)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        q_soft = torch.softmax(log_q / self.temperature, dim=-1)
        p_soft = torch.softmax(p.log() / self.temperature, dim=-1)
        distance = torch.cdist(q_soft.expand_as(p_soft), p_soft, p=1)
        plan, value = _shares(distance.detach(), self.epsilon, self.sweeps)
        moved = (plan * distance).sum(dim=-1)
        return moved + (value - moved.detach())


@torch.no_grad()
def _shares(distance: Tensor, epsilon: float, sweeps: int) -> tuple[Tensor, Tensor]:
    r"""Plan times B and every row's share of the dual value.

    With :math:`P_{ij} = u_i K_{ij} v_j / B^2`, f = epsilon log u and g likewise, the share of
    row i is :math:`f_i + B \sum_j P_{ij} g_j`. The last step is the columns', so P has their
    sums exactly and the shares' mean is the dual value: at least 0, at most the optimum.

    Args:
        distance: shape (..., B, B), at most 2.
        epsilon: regularisation.
        sweeps: pairs of scaling steps, rows first.

    Returns:
        Shapes (..., B, B) and (..., B).

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 4.2 and 4.4.
    """
    size = distance.shape[-1]
    kernel = (distance / -epsilon).exp_()
    v = torch.full_like(distance[..., :1], 1.0)
    for _ in range(sweeps):
        u = size / (kernel @ v)
        v = size / (kernel.mT @ u)
    plan = kernel.mul_(u).mul_(v.mT / size)
    value = epsilon * (u.log() + plan @ v.log())
    return plan, value.squeeze(-1)
