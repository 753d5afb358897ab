"""Peers of the transport benchmark: KNOT's own call, geomloss and POT."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import ot
import torch
from ot.batch import solve_batch
from torch import Tensor

from simulations.benches.arms import Arm, with_gradient
from simulations.benches.workloads import Ground

KNOT = "KNOT's call (geomloss)"
_ABSENT = "not installed: pip install fedknot[geomloss]"
_BLUR = 1e-3
_MOST_ENTRIES = 3e7  # of POT's batch of cost matrices, one for every problem


def peer_arms(ground: Ground, problems: int) -> list[Arm]:
    """Everybody else, where installed."""
    return [*_geomloss(ground), *_pot(ground, problems)]


def _geomloss(ground: Ground) -> list[Arm]:
    finer = "geomloss at about 1 % (scaling .9)"
    if not find_spec("geomloss"):
        return [Arm(name, None, ours=False, note=_ABSENT) for name in (KNOT, finer)]
    return [
        Arm(KNOT, partial(_samples_loss, ground=ground, scaling=0.5), ours=False),
        Arm(finer, partial(_samples_loss, ground=ground, scaling=0.9), ours=False),
    ]


def _samples_loss(logits: Tensor, teachers: Tensor, ground: Ground, scaling: float) -> Tensor:
    """As in KNOT's released code: one call per teacher, supports repeated, with gradients."""
    q = logits.softmax(dim=1)
    loss = _solver(ground, scaling)
    points = torch.from_numpy(_points(ground)).to(q)
    values = []
    for opinion in teachers:
        x = points.repeat(len(q), 1, 1).requires_grad_()
        y = points.repeat(len(q), 1, 1).requires_grad_()
        values.append(loss(q, x, opinion, y))
    return torch.stack(values)


def _solver(ground: Ground, scaling: float) -> Callable[..., Tensor]:
    from geomloss import SamplesLoss

    settings: dict[str, Any] = {"p": 1, "blur": _BLUR, "debias": False, "reach": None}
    if ground.points is None:  # one-hot points, looked up
        matrix = torch.from_numpy(ground.matrix).float()
        settings["diameter"] = float(ground.matrix.max())
        settings["cost"] = lambda x, y: x @ matrix @ y.transpose(1, 2)
    loss: Callable[..., Tensor] = SamplesLoss(
        "sinkhorn", scaling=scaling, backend="tensorized", **settings
    )
    return loss


def _points(ground: Ground) -> Any:
    return torch.eye(len(ground.matrix)).numpy() if ground.points is None else ground.points


def _pot(ground: Ground, problems: int) -> list[Arm]:
    matrix = torch.from_numpy(ground.matrix)
    loop = Arm(
        "POT emd2, a loop", partial(_emd2, matrix=matrix), exact=True, ours=False, most_problems=128
    )
    name = "POT ot.batch log_sinkhorn, M/50"
    if problems * matrix.numel() > _MOST_ENTRIES:
        return [loop, Arm(name, None, ours=False, note="skipped: a cost matrix per problem")]
    note = "gradient from its potentials: its own has none for q"
    return [loop, Arm(name, partial(_solve_batch, matrix=matrix), ours=False, note=note)]


def _emd2(logits: Tensor, teachers: Tensor, matrix: Tensor) -> Tensor:
    """POT's network simplex, one call per problem, differentiated by POT."""
    q, cost = logits.softmax(dim=1), matrix.to(logits)
    rows = [
        torch.stack([ot.emd2(a, b, cost) for a, b in zip(q, opinion, strict=True)])
        for opinion in teachers
    ]
    return torch.stack(rows)


def _solve_batch(logits: Tensor, teachers: Tensor, matrix: Tensor) -> Tensor:
    """POT's batched Sinkhorn.

    Its potentials are logarithms of scalings of the plain entropy problem. Less the logarithm
    of q they are those of KL to the product, whose gradient tends to that of transport.
    """
    q, cost = logits.softmax(dim=1), matrix.to(logits)
    a = q.detach().expand_as(teachers).reshape(-1, len(matrix))
    b = teachers.reshape(-1, len(matrix))
    scale = float(cost.max()) / 50
    solved = solve_batch(
        cost.expand(len(a), *cost.shape), scale, a, b, 100, 1e-5, "log_sinkhorn", grad="detach"
    )
    f = scale * (solved.potentials[0] - a.log())
    return with_gradient(solved.value_linear.view(teachers.shape[:2]), f.view(teachers.shape), q)
