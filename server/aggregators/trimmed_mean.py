"""The mean without the extremes, label by label."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import one_target
from server.aggregators._ranked import ranked


@final
@component
class TrimmedMean(Aggregator):
    r"""One target per sample, T = 1: means of what is left when both ends are cut off.

    For each label alone, with :math:`Q_c` the weighted quantile function of the
    :math:`p_{k,c}(x)` and :math:`\beta` the share cut at either end,

    .. math:: m_c(x) = \frac{1}{1 - 2\beta} \int_\beta^{1-\beta} Q_c(u) \, du

    and then :math:`m_c / \sum_d m_d`. A share of 0 gives the mean; near .5 it nears the median.
    It needs the predictions only, one by one: a sum over clients does not do.

    What is proven: while a group holds no more than a share :math:`\beta` of the weight of a
    sample, each :math:`m_c` lies between the least and the greatest of the others, whatever the
    group says. That holds before scaling to sum 1, for that sample, and says nothing of what
    the student learns. A minority that alone knows a label is cut off like an attacker.

    Where nothing is left of any label, the target is uniform.

    Departures: the source takes gradients, cuts whole clients, all weighing the same, and does
    not scale. Here weight is cut, so a client may be cut in part; where :math:`\beta K` is a
    whole number and weights are equal, both are the same.

    Attributes:
        trim: :math:`\beta`; from .5 on nothing would be left, for which see ``median``.

    Reference: Yin, Chen, Ramchandran, Bartlett. *Byzantine-Robust Distributed Learning: Towards
    Optimal Statistical Rates*, ICML 2018, definition 2. https://arxiv.org/abs/1803.01498
    """

    robust: ClassVar[bool] = True

    trim: float = Field(default=0.2, ge=0, le=0.49)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        values, reached = ranked(probs, weights)
        inside = reached.clip(self.trim, 1 - self.trim)
        kept = np.diff(inside, axis=0, prepend=self.trim)
        return one_target((kept * values).sum(axis=0))
