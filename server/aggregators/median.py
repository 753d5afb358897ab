"""The middle opinion, label by label."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import one_target
from server.aggregators._ranked import ranked

_TIE = 1e-12  # of the total weight: what rounding alone can move


@final
@component
class Median(Aggregator):
    r"""One target per sample, T = 1: weighted medians of the probabilities, scaled to sum 1.

    For each label alone: :math:`m_c(x) = \mathrm{med}_k(p_{k,c}(x); w_k(x))`, the middle where
    an interval of medians is optimal; then :math:`m_c / \sum_d m_d`. It needs the predictions
    only, one by one: a sum over clients does not do.

    What is proven: while others hold more than half of the weight of a sample, each
    :math:`m_c` lies between their least and their greatest, whatever the rest says. That holds
    before scaling to sum 1, for that sample, and says nothing of what the student learns. Nor
    does it tell attackers from a minority that alone knows a label: both are outvoted. Weights
    from the predictions themselves (``entropy``) let few hold half.

    Where all medians are zero, as with three certain teachers and three labels, the target is
    uniform, which is the limit of nearly certain ones.

    Departures: the source takes gradients, all weighing the same, and does not scale.

    Reference: Yin, Chen, Ramchandran, Bartlett. *Byzantine-Robust Distributed Learning: Towards
    Optimal Statistical Rates*, ICML 2018, definition 1. https://arxiv.org/abs/1803.01498
    """

    robust: ClassVar[bool] = True

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        values, reached = ranked(probs, weights)
        low = (reached >= 0.5 - _TIE).argmax(axis=0)[None]
        high = (reached > 0.5 + _TIE).argmax(axis=0)[None]
        ends = np.take_along_axis(values, low, axis=0) + np.take_along_axis(values, high, axis=0)
        return one_target(ends[0] / 2)
