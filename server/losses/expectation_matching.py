"""The student's mean label against the target's: all that Semantic Distance sees."""

from typing import ClassVar, final

import torch
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class ExpectationMatching(DistillationLoss):
    r"""Squared distance between expected label coordinates.

    .. math:: \Big\| \sum_c q_c u_c - \sum_c p_c u_c \Big\|^2

    q is the student, p the target, u the points of the labels; in squared units of the points,
    between 0 and their squared diameter. Squared, so that its slope vanishes at agreement and
    teachers are averaged: at the minimum for several teachers the student's expectation is the
    weighted mean of theirs. That fixes a mean and no distribution: unless the points are
    affinely independent many students are minimal, and one that hedges between the ends of a
    line is as good as one that is certain of the middle. Use it as a control: Semantic Distance
    sees nothing else.

    Reference: Gao, Zhou, Wu, Geng. *Age Estimation Using Expectation of Label Distribution
    Learning*, IJCAI 2018, section 3.3 (there the absolute difference from the label, beside KL);
    the metric: Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022. https://arxiv.org/abs/2110.02432
    """

    uses_geometry: ClassVar[bool] = True

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        points = torch.as_tensor(geometry.points, dtype=p.dtype, device=p.device)
        return ((log_q.exp() - p) @ points).square().sum(dim=-1)
