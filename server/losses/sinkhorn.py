"""Entropic optimal transport for any label geometry."""

import math
from typing import ClassVar, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.transport.entropic import MIN_EPSILON, potentials


@final
@component
class Sinkhorn(DistillationLoss):
    r"""Transport cost plus a penalty on plans unlike the product of the marginals.

    .. math:: \min_{P 1 = q, \; P^\top 1 = p} \langle P, M \rangle
              + \varepsilon \, \mathrm{KL}(P \,\|\, q \otimes p)
              = \max_{f, g} \; \langle f, q \rangle + \langle g, p \rangle

    M is the ground cost, and :math:`\varepsilon` is ``epsilon`` times its largest entry. The
    value is the dual one, the gradient with respect to q the potential f, centred (Danskin's
    theorem): the sweeps run without autograd, and value and gradient belong together. The
    minimum lies near q = p, not at it: q is drawn to the labels p holds most of.

    The reference measure is the product, as in KNOT's solver. A plain entropy penalty has the
    same plan but a gradient with an extra :math:`\varepsilon \log q`, and so another student.

    Attributes:
        epsilon: regularisation, relative to the largest ground cost. Below 1/300 the kernel
            leaves the floating-point range; use an exact loss there.
        sweeps: scaling steps per batch. At epsilon = .1 forty leave the logits gradient of
            unlike distributions about 1 % from the converged one or nearer. Nearly equal
            ones converge more slowly (1 to 10 % where logits differ by .1, worse where by
            less), and so does a smaller epsilon: for .01 take a thousand.

    Reference: Cuturi. *Sinkhorn Distances*, NeurIPS 2013. https://arxiv.org/abs/1306.0895;
    Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 4.2 to 4.4.
    """

    uses_geometry: ClassVar[bool] = True

    epsilon: float = Field(default=0.1, ge=MIN_EPSILON, le=10)
    sweeps: int = Field(default=40, ge=1)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        q = log_q.exp()
        cost = torch.as_tensor(geometry.cost, device=p.device)
        rows, shape = q.detach().expand_as(p).flatten(0, -2), p.shape
        f, g = potentials(rows, p.flatten(0, -2), cost, self.epsilon, self.sweeps)
        return (f.view(shape) * q).sum(dim=-1) + (g.view(shape) * p).sum(dim=-1)

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        # The value is never negative, and staying put costs epsilon times the entropy of p.
        return self.epsilon * float(geometry.cost.max()) * math.log(len(geometry))
