"""The mixture of all opinions, sharpened by a power."""

from typing import ClassVar, final

from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import mixture, one_target, powered


@final
@component
class PowerMean(Aggregator):
    r"""One target per sample, T = 1: the weighted mixture raised to a power, scaled to sum 1.

    .. math:: a_c(x) = \bar p_c(x)^\beta / \sum_d \bar p_d(x)^\beta

    :math:`\bar p = \sum_k w_k p_k` is the weighted mean. A power above 1 sharpens it, 1 leaves
    it, below 1 flattens it. Ratios between labels are raised to that power, zeros and certain
    rows stay; teachers who agree are not repeated unless the power is 1. It needs the
    predictions only. It is a power of the mean, not the mean of powers.

    Departures: the source weighs all clients the same, and keeps targets over rounds to spare
    traffic; nothing is kept here.

    Attributes:
        power: :math:`\beta`.

    Reference: Azuma, Nishio, Kitagawa, Nakano, Tanimura. *Soft-Label Caching and Sharpening for
    Communication-Efficient Federated Distillation* (SCARLET), 2025, Enhanced ERA.
    https://arxiv.org/abs/2504.19602
    """

    repeats_agreement: ClassVar[bool] = False

    power: float = Field(default=2.0, gt=0, le=100)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        return one_target(powered(mixture(probs, weights), self.power))
