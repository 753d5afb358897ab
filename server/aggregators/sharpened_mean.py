"""The mixture of all opinions, sharpened by a softmax."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import mixture, one_target


@final
@component
class SharpenedMean(Aggregator):
    r"""One target per sample, T = 1: the softmax of the weighted mixture over a temperature.

    .. math:: a_c(x) \propto \exp(\bar p_c(x) / \tau)

    :math:`\bar p = \sum_k w_k p_k` is the weighted mean of *probabilities*, as in the source,
    not of logits. Teachers who disagree leave a mean without a favourite; this gives it one.
    It needs the predictions only.

    The largest ratio between two labels is :math:`e^{1/\tau}`, and their order is kept; teachers
    who agree are not repeated. At the default, .5 and .3 become a ratio of 7.4, but a certain
    mean becomes a little less certain (.9998 of 5 labels). A ``temperature`` of 1 flattens:
    probabilities differ by 1 at most.

    Departures: the source weighs all clients the same.

    Attributes:
        temperature: :math:`\tau`; .1 in the source.

    Reference: Itahara, Nishio, Koda, Morikura, Yamamoto. *Distillation-Based Semi-Supervised
    Federated Learning* (DS-FL), IEEE TMC 2021, entropy reduction averaging (ERA).
    https://arxiv.org/abs/2008.06180
    """

    repeats_agreement: ClassVar[bool] = False

    temperature: float = Field(default=0.1, ge=0.001, le=100)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        mixed = mixture(probs, weights)
        gap = mixed - mixed.max(axis=1, keepdims=True)
        return one_target(np.exp(gap / self.temperature))
