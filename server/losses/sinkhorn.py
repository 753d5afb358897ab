"""Entropic optimal transport for any label geometry."""

import math
from typing import ClassVar, final

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.transport.cost import label_cost
from server.transport.entropic import MIN_EPSILON
from server.transport.solve import transport_cost


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
        debias: subtract half the transport of q to itself and of p to itself: the Sinkhorn
            divergence, whose minimum lies at q = p.

    Reference: Cuturi. *Sinkhorn Distances*, NeurIPS 2013. https://arxiv.org/abs/1306.0895;
    Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 4.2 to 4.4; the divergence:
    Feydy et al., AISTATS 2019, equation 3. https://arxiv.org/abs/1810.08278
    """

    uses_geometry: ClassVar[bool] = True

    epsilon: float = Field(default=0.1, ge=MIN_EPSILON, le=10)
    sweeps: int = Field(default=40, ge=1)
    debias: bool = False

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        return transport_cost(
            log_q.exp(),
            p,
            label_cost(geometry),
            solver="sinkhorn",
            epsilon=self.epsilon,
            sweeps=self.sweeps,
            debias=self.debias,
            validate=False,
        )

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        if self.debias:
            return 0.0
        # The value is never negative, and staying put costs epsilon times the entropy of p.
        return self.epsilon * float(geometry.cost.max()) * math.log(len(geometry))
