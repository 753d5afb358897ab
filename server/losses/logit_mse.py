"""Logit matching: squared distance between logits, as far as probabilities tell them."""

import math
from typing import final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class LogitMse(DistillationLoss):
    r"""Squared distance between centred logits.

    .. math:: \sum_c \Big( z_c - y_c - \tfrac1C \sum_b (z_b - y_b) \Big)^2

    z and y are the logits of student and target. Logits do not cross the wire; log-probabilities
    are the same up to a constant per sample, which centring removes. Summed over labels, like
    the squared norm of the second source; half the first source's is half of this. No upper
    bound. The minimiser for several teachers is their weighted **geometric mean**, normalised,
    as far as their entries lie above ``floor``.

    A target entry at or below ``floor`` says "at most this": it is read as ``floor``, and so is
    the student's where it is smaller still. The value at q = p is therefore 0, zeros included.

    Attributes:
        floor: the smallest target probability believed, as in ``symmetric_kl``. Small
            probabilities weigh as much as large ones here, so what a few bits made of them
            matters most: a coarser wire wants a larger floor.

    Reference: Ba, Caruana. *Do Deep Nets Really Need to be Deep?*, NeurIPS 2014, section 2.2.
    https://arxiv.org/abs/1312.6184; Kim, Oh, Kim, Cho, Yun. *Comparing Kullback-Leibler
    Divergence and Mean Squared Error Loss in Knowledge Distillation*, IJCAI 2021, section 3.
    https://arxiv.org/abs/2105.08919
    """

    floor: float = Field(default=1e-3, gt=0, lt=0.5)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        del geometry
        seen = torch.where(p > self.floor, log_q, log_q.clamp_min(math.log(self.floor)))
        error = seen - p.clamp_min(self.floor).log()
        return (error - error.mean(dim=-1, keepdim=True)).square().sum(dim=-1)
