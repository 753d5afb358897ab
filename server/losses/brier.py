"""Brier score, the squared distance between distributions."""

from typing import final

from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class Brier(DistillationLoss):
    r"""Squared distance :math:`\sum_c (q_c - p_c)^2`, between 0 and 2.

    q is the student, p the target. Blind to label distance, like ``kl``; unlike it, an error
    among small probabilities weighs little. The minimiser for several teachers is their
    weighted mean, as for ``kl``. A student that is certain and wrong gets no gradient.

    Reference: Brier. *Verification of Forecasts Expressed in Terms of Probability*, 1950; its
    divergence: Gneiting, Raftery. *Strictly Proper Scoring Rules, Prediction, and Estimation*,
    JASA 102, 2007, section 3.
    """

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        return (log_q.exp() - p).square().sum(dim=-1)
