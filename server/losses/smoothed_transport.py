"""Exact transport whose kink at the target is rounded off."""

from typing import ClassVar, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.transport.cost import label_cost
from server.transport.solve import transport_cost


@final
@component
class SmoothedTransport(DistillationLoss):
    r"""Huber's function of each problem's transport cost W, in units of the ground cost.

    .. math:: h(W) = W^2 / 2\delta \text{ where } W \le \delta, \quad W - \delta / 2 \text{ beyond}

    Exact transport pulls a student with the same force however near its teacher it is. Here
    the force fades within :math:`\delta`, its direction unchanged. KNOT's solver call, which
    stops long before it has converged, behaves in effect like this. Summed over teachers the
    minimiser moves from the median of exact transport towards a mean.

    Attributes:
        width: :math:`\delta`, relative to the largest ground cost.

    Reference: Huber. *Robust Estimation of a Location Parameter*, Annals of Mathematical
    Statistics 1964, section 2 (the function); its use on transport costs is ours.
    """

    uses_geometry: ClassVar[bool] = True

    width: float = Field(default=0.3, gt=0, le=1)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        cost = label_cost(geometry)
        delta = self.width * cost.range
        exact = transport_cost(log_q.exp(), p, cost, validate=False)
        return torch.where(exact <= delta, exact.square() / (2 * delta), exact - delta / 2)
