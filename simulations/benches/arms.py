"""Arms of the transport benchmark: ours, and what they all are called with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from server.transport import lp
from server.transport.cost import LabelCost
from server.transport.solve import transport_cost

Values = Callable[[Tensor, Tensor], Tensor]
"""From logits (B, C) and teachers (K, B, C) to differentiable values (K, B)."""

AUTO = "fedknot auto"
UNCHECKED = "fedknot auto, validate=False"
FLOOR = "KL divergence (no transport)"
LIMIT = "softmax and a dot product (limit)"
_SIMPLEX_AT_MOST = 100  # labels; beyond, auto is the same engine and takes minutes


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to the loss.

    Attributes:
        name: as printed.
        values: see :data:`Values`; None if it is not installed.
        exact: whether it promises the optimum.
        ours: whether it is part of this project.
        transport: whether its values are transport costs, so that errors have a meaning.
        most_problems: the largest number of problems worth timing; more are extrapolated.
        note: what a reader must know.
    """

    name: str
    values: Values | None
    exact: bool = False
    ours: bool = True
    transport: bool = True
    most_problems: int | None = None
    note: str = ""


def our_arms(cost: LabelCost) -> list[Arm]:
    """What the project has for a cost: automatic, every exact solver, two approximations."""
    auto = cost.solver()
    arms = [
        Arm(AUTO, partial(_ours, cost=cost), exact=True, note=auto),
        Arm(UNCHECKED, partial(_ours, cost=cost, validate=False), exact=True, note=auto),
    ]
    if auto == "tree":
        arms += _if_small(cost)
    arms += _linear_programmes(cost)
    for epsilon, sweeps in ((0.05, 8), (0.01, 20)):
        solve = partial(_ours, cost=cost, solver="sinkhorn", epsilon=epsilon, sweeps=sweeps)
        arms.append(Arm(f"fedknot sinkhorn, epsilon {epsilon}, {sweeps} sweeps", solve))
    return arms


def yardsticks() -> list[Arm]:
    """What no transport loss can be cheaper than."""
    return [Arm(FLOOR, _kl, transport=False), Arm(LIMIT, _dot, transport=False)]


def with_gradient(values: Tensor, gradient: Tensor, q: Tensor) -> Tensor:
    """``values`` (K, B), with ``gradient`` (K, B, C) with respect to q (B, C)."""
    slope = (gradient.detach() * q).sum(dim=-1)
    return values.detach() + slope - slope.detach()


def _if_small(cost: LabelCost) -> list[Arm]:
    try:
        cost.solver("vertex")
    except ValueError:
        return []
    return [Arm("fedknot vertex", partial(_ours, cost=cost, solver="vertex"), exact=True)]


def _linear_programmes(cost: LabelCost) -> list[Arm]:
    """Both engines, whichever ``auto`` would choose."""
    simplex = Arm(
        "fedknot lp, simplex (POT)",
        partial(_engine, cost=cost, chosen="simplex"),
        exact=True,
        most_problems=4096 if cost.num_labels <= _SIMPLEX_AT_MOST else 16,
    )
    name = "fedknot lp, paths (numba)"
    if cost.num_labels > _SIMPLEX_AT_MOST:
        return [simplex]
    if not find_spec("numba"):
        return [simplex, Arm(name, None, note="not installed: pip install fedknot[fast]")]
    return [simplex, Arm(name, partial(_engine, cost=cost, chosen="paths"), exact=True)]


def _ours(
    logits: Tensor,
    teachers: Tensor,
    cost: LabelCost,
    solver: str = "auto",
    epsilon: float | None = None,
    sweeps: int = 100,
    validate: bool = True,
) -> Tensor:
    q = logits.softmax(dim=1)
    return transport_cost(
        q, teachers, cost, solver=solver, epsilon=epsilon, sweeps=sweeps, validate=validate
    )


def _engine(logits: Tensor, teachers: Tensor, cost: LabelCost, chosen: lp.Engine) -> Tensor:
    q = logits.softmax(dim=1)
    values, f, _ = lp.solve(q.detach(), teachers, cost, chosen)
    return with_gradient(values, f, q)


def _kl(logits: Tensor, teachers: Tensor) -> Tensor:
    log_q = logits.log_softmax(dim=1)
    return (torch.xlogy(teachers, teachers) - teachers * log_q).sum(dim=-1)


def _dot(logits: Tensor, teachers: Tensor) -> Tensor:
    return (logits.softmax(dim=1) * teachers).sum(dim=-1)
