"""Ranked probability score: the Brier score that sees how labels lie."""

from functools import lru_cache
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss

_ROUNDING = 1e-9  # of the largest eigenvalue; what a cost of negative type may fall below zero


@final
@component
class Crps(DistillationLoss):
    r"""Half the squared energy distance, in units of the ground cost.

    .. math:: -\tfrac12 (q - p)^\top M (q - p)
              \;=\; \sum_{c<C} (F_q(c) - F_p(c))^2 \, (x_{c+1} - x_c) \text{ on a line}

    q is the student, p the target, M the ground cost, F a cumulative distribution, x the
    positions of the labels. On a line it is the Cramér distance, the divergence of the
    (continuous) ranked probability score; with all labels equally far apart, half the Brier
    score. Between two certainties it is their cost, which is also the largest value.

    It is never negative exactly if M is of negative type, as every Euclidean distance is;
    other costs are refused. Quadratic in q - p: the minimiser for several teachers is their
    weighted **mean**, wherever the labels lie; ``transport`` on a line has the median. So
    the geometry decides which errors a student that cannot do everything gets rid of first.

    Reference: Gneiting, Raftery. *Strictly Proper Scoring Rules, Prediction, and Estimation*,
    JASA 102, 2007, sections 4.2 and 5.1; Székely, Rizzo. *Energy Statistics: A Class of
    Statistics Based on Distances*, 2013, section 2; negative type: Schoenberg. *Metric Spaces
    and Positive Definite Functions*, 1938.
    """

    uses_geometry: ClassVar[bool] = True

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        embedding = torch.as_tensor(_embedding(geometry), dtype=p.dtype, device=p.device)
        return ((log_q.exp() - p) @ embedding).square().sum(dim=-1)

    @override
    def check(self, geometry: LabelGeometry) -> None:
        _embedding(geometry)


@lru_cache(maxsize=8)
def _embedding(geometry: LabelGeometry) -> Floats:
    """Points (C, C) whose squared distances are the cost: a sum of squares stays positive.

    Reference: classical scaling; Borg, Groenen. *Modern Multidimensional Scaling*, 2005,
    section 12.1.
    """
    centred = geometry.cost - geometry.cost.mean(axis=0)
    gram = -0.5 * (centred - centred.mean(axis=1, keepdims=True))
    values, vectors = np.linalg.eigh(gram)
    if values[0] < -_ROUNDING * max(values[-1], -values[0]):
        raise ConfigError(
            "server.loss: crps needs a ground cost of negative type, such as a Euclidean "
            "distance; write server.loss = { kind = 'sinkhorn' }"
        )
    return np.asarray(vectors * np.sqrt(values.clip(min=0)), dtype=np.float64)
