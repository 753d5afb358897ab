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
from server.losses.kl import Kl

_FARTHEST = 2.0  # L1 distance of two distributions without a common label
_KL = Kl()


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

    P may pair a student's row with *another* sample's target, so this term tells which
    predictions a batch should hold, not who should make them: alone it leaves a student with
    swapped labels content. The paper adds it to losses of single samples, of which KL needs no
    labels and is added here. Which student is best for several teachers is not known in closed
    form. Values lie between 0 and 2 plus the divergence.

    Attributes:
        epsilon: regularisation, in units of D, which is at most 2. Below 1/40 the kernel leaves
            the floating-point range.
        sweeps: scaling steps.
        temperature: T above.
        kl_weight: weight of KL(p || q) at temperature 1, in nats, beside the transport cost,
            whose weight is 1. The released code weighs KL (at its temperature) by .8 and the
            *sum* over the batch by .8 times .001: at 256 samples as 4 to 1.

    Reference: Cui, Qin, Gao, Zhang, Xu, Wu, Li, Sun, Zhou, Li. *Sinkhorn Distance Minimization
    for Knowledge Distillation*, LREC-COLING 2024, https://arxiv.org/abs/2402.17110; epsilon,
    sweeps and temperature as in its released code. The value and its gradient: Peyré, Cuturi.
    *Computational Optimal Transport*, 2019, section 4.4 and proposition 9.2.
    """

    separable: ClassVar[bool] = False

    epsilon: float = Field(default=0.1, ge=1 / 40, le=10)
    sweeps: int = Field(default=20, ge=1)
    temperature: float = Field(default=2.0, gt=0)
    kl_weight: float = Field(default=4.0, ge=0)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        q_soft = torch.softmax(log_q / self.temperature, dim=-1)
        p_soft = torch.softmax(p.log() / self.temperature, dim=-1)
        distance = torch.cdist(q_soft.expand_as(p_soft), p_soft, p=1)
        plan, value = _shares(distance.detach(), self.epsilon, self.sweeps)
        moved = (plan * distance).sum(dim=-1)
        return value + (moved - moved.detach()) + self.kl_weight * _KL(log_q, p, geometry)

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        # The value is never negative. At q = p it is at most what any plan costs: the product,
        # or the product within each cell of {q: floor(m F_q) = k}, of L1 diameter 2 (C - 1) / m,
        # whose divergence is at most the logarithm of the number of cells.
        size, m = len(geometry), math.ceil(_FARTHEST / self.epsilon)
        cells = math.comb(m + size - 1, size - 1)
        within_cells = 2 * (size - 1) / m + self.epsilon * math.log(cells)
        return min(_FARTHEST * (1 - 1 / size), within_cells)


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
    # Row vector times matrix, ten times faster in batches than matrix times column vector.
    turned = kernel.mT.contiguous()
    v = torch.ones_like(distance[..., :1, :])
    for _ in range(sweeps):
        u = size / (v @ turned)
        v = size / (u @ kernel)
    plan = kernel.mul_(u.mT).mul_(v / size)
    value = epsilon * (u.log().squeeze(-2) + (plan * v.log()).sum(dim=-1))
    return plan, value
