"""KNOT's own transport loss, as its authors run it; needs the optional extra `geomloss`."""

from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss


@final
@component
class KnotGeomloss(DistillationLoss):
    """A reproduction of a published arm, not a recommendation: an entropic solver cut short.

    One call of geomloss with cost ||x - y||, no debiasing and that library's own annealing,
    which takes some fifteen symmetric half-steps and stops. Its values are too low, by an
    amount that grows with the number of labels and with the nearness of student and teacher,
    and its gradient fades near the teacher: ``fedknot bench ot`` prints by how much. For what
    it approximates take ``transport``, for its fading gradient ``smoothed_transport``.

    The supports are the labels' points, so the geometry must be Euclidean.

    Attributes:
        blur: final temperature, in units of the label coordinates; KNOT's is .001. Which
            value hardly matters, since ``scaling`` decides when to stop.
        scaling: ratio of successive temperatures; geomloss's and KNOT's is .5. At .9 values
            are some 1 % low, at four times the price.

    Reference: Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, released code, function
    ``sinkhorn_loss``. https://arxiv.org/abs/2110.02432; the solver: Feydy et al., AISTATS
    2019. https://arxiv.org/abs/1810.08278
    """

    uses_geometry: ClassVar[bool] = True
    exact_gradient: ClassVar[bool] = False

    blur: float = Field(default=1e-3, gt=0)
    scaling: float = Field(default=0.5, gt=0, lt=1)

    @override
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        self.check(geometry)
        rows = p.reshape(-1, p.shape[-1])
        points = torch.as_tensor(geometry.points, dtype=p.dtype, device=p.device)
        support = points.repeat(len(rows), 1, 1)  # geomloss takes no views
        student = log_q.exp().expand_as(p).reshape(rows.shape)
        values: Tensor = _solver(self.blur, self.scaling)(student, support, rows, support)
        return values.view(p.shape[:-1])

    @override
    def slack(self, geometry: LabelGeometry) -> float:
        # At q = p the cut-short solver is off by up to the entropy of its last temperature,
        # and by the floor of 1e-4 that geomloss puts under every distance.
        return 1e-2 * float(geometry.cost.max())

    @override
    def check(self, geometry: LabelGeometry) -> None:
        if find_spec("geomloss") is None:
            raise ConfigError(
                "server.loss: knot_geomloss needs an optional library; "
                "type: pip install 'fedknot[geomloss]'"
            )
        points = geometry.points
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        if not np.allclose(distance, geometry.cost):
            raise ConfigError(
                "server.loss: knot_geomloss needs costs that are distances between label "
                "points; write server.loss = { kind = 'transport' }"
            )


@cache
def _solver(blur: float, scaling: float) -> Any:
    from geomloss import SamplesLoss

    return SamplesLoss(
        "sinkhorn", p=1, blur=blur, scaling=scaling, debias=False, backend="tensorized"
    )
