"""The one way into transport: costs, gradients and plans, exact unless asked otherwise."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from typing_extensions import override

from common.arrays import Floats
from server.transport import lp, tree, vertices
from server.transport.cost import LabelCost
from server.transport.entropic import MIN_EPSILON, divergence

_OFF_BY = 1e-3  # how far a row may miss 1 before it is taken for something else

Solution = tuple[Tensor, Tensor, Tensor | None]
"""Values (T, B) and slopes: gradients with respect to q, (T, B, C), and None; or (E, T, B) and
the basis (E, C) whose rows, times the slopes, add up to them."""


def transport_cost(  # noqa: PLR0913 - what, how, and three settings of the approximation
    q: Tensor,
    p: Tensor,
    cost: LabelCost,
    *,
    solver: str = "auto",
    epsilon: float | None = None,
    sweeps: int = 100,
    debias: bool = False,
    validate: bool = True,
) -> Tensor:
    r"""The cost of turning q into each p: :math:`\min_{P 1 = q, P^T 1 = p} \langle P, M \rangle`.

    Differentiable once, in q: the gradient is the optimal dual potential, centred so that
    it sums to zero over the labels (at kinks one of the subgradients; zero where q = p under a
    metric). Teachers are constants.

    Args:
        q: shape (B, C), distributions; float32, float64, or half, computed as float32.
        p: shape (..., B, C), distributions; any axes may lead. Cast to the dtype and device
            of ``q``.
        cost: the C labels' ground cost M, rows for q.
        solver: "auto" for the fastest exact one, which depends on the cost alone (see
            :meth:`~server.transport.cost.LabelCost.explain`); "tree", "vertex" or "lp" to
            insist; "sinkhorn" for entropic transport, an approximation.
        epsilon: for "sinkhorn" only: regularisation relative to the largest cost.
        sweeps: for "sinkhorn" only.
        debias: for "sinkhorn" only: subtract both self-transports, which makes it zero, and
            least, at q = p.
        validate: whether to refuse rows that are no distributions; skip it where they were
            checked before.

    Returns:
        Shape (..., B), in units of the cost.

    Raises:
        ValueError: rows that are no distributions, shapes that do not fit, a solver that
            cannot serve the cost.
        TypeError: q or p is not of a floating-point dtype.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 2.3 (the
    problem), 2.5 (its dual) and 9.1 (the dual as gradient). https://arxiv.org/abs/1803.00567
    """
    _check_shapes(q, p, cost)
    if validate:
        _check_rows("q", q.detach())
        _check_rows("p", p)
    q = q if q.dtype in (torch.float32, torch.float64) else q.float()
    p = p.to(q)
    method = _method(cost, solver, epsilon, sweeps, debias)
    if not p.numel():
        return (q.sum() * 0.0).expand(p.shape[:-1])
    flat = p.reshape(-1, *p.shape[-2:]) if p.dim() != 3 else p
    values: Tensor = _Transport.apply(q, flat, method)  # type: ignore[no-untyped-call]
    return values if p.dim() == 3 else values.view(p.shape[:-1])


def transport_plan(q: Floats, p: Floats, cost: LabelCost) -> Floats:
    """An optimal plan between two distributions, exact.

    Args:
        q: shape (C,), sums to 1.
        p: shape (C,), sums to 1.
        cost: the C labels' ground cost, rows for q.

    Returns:
        Shape (C, C), float64; rows sum to q, columns to p. Where several plans are optimal,
        one of them.

    Raises:
        ValueError: q or p is no distribution.
    """
    for name, row in (("q", q), ("p", p)):
        _check_rows(name, torch.as_tensor(np.asarray(row, dtype=np.float64))[None])
    from ot import emd  # takes seconds to import

    q, p = (np.maximum(np.asarray(row, dtype=np.float64), 0.0) for row in (q, p))
    plan: Floats = emd(q / q.sum(), p / p.sum(), lp.in_pots_range(cost)[0])
    return plan


class _Transport(torch.autograd.Function):
    """Values forward, dual potentials backward; no autograd through any solver."""

    @staticmethod
    @override
    def forward(ctx: Any, q: Tensor, p: Tensor, method: Callable[..., Solution]) -> Tensor:
        values, slopes, basis = method(q, p)
        ctx.save_for_backward(slopes, basis)
        return values

    @staticmethod
    @override
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        slopes, basis = ctx.saved_tensors
        # Multiply and sum: an einsum copies into another layout and takes twenty times as long.
        if basis is None:
            return (upstream.unsqueeze(-1) * slopes).sum(dim=0), None, None
        return (upstream * slopes).sum(dim=1).T @ basis, None, None


def _method(
    cost: LabelCost, solver: str, epsilon: float | None, sweeps: int, debias: bool
) -> Callable[..., Solution]:
    name = cost.solver(solver)
    if name == "sinkhorn":
        if epsilon is None or not MIN_EPSILON <= epsilon <= 10:
            raise ValueError(
                f"solver 'sinkhorn' needs epsilon in [1/300, 10], got {epsilon}; below, take 'auto'"
            )
        return partial(_sinkhorn, cost=cost, epsilon=epsilon, sweeps=sweeps, debias=debias)
    if epsilon is not None or debias:
        raise ValueError(f"solver {name!r} is exact; epsilon and debias are for 'sinkhorn'")
    exact = {"tree": tree.solve, "vertex": vertices.solve, "lp": lp.solve}[name]
    return partial(exact if name == "tree" else _still_at_the_target(exact), cost=cost)


def _still_at_the_target(solve: Callable[..., Solution]) -> Callable[..., Solution]:
    """At q = p, up to rounding, a metric has the subgradient 0: take it, not a random one."""

    def solved(q: Tensor, p: Tensor, cost: LabelCost) -> Solution:
        values, f, basis = solve(q, p, cost)
        if cost.is_metric:
            there = values <= 16 * torch.finfo(q.dtype).eps * cost.range
            f.masked_fill_(there.unsqueeze(-1), 0.0)
        return values, f, basis

    return solved


def _sinkhorn(
    q: Tensor, p: Tensor, cost: LabelCost, epsilon: float, sweeps: int, debias: bool
) -> Solution:
    values, f = divergence(q, p, cost, epsilon, sweeps, debias)
    return values, f, None


def _check_shapes(q: Tensor, p: Tensor, cost: LabelCost) -> None:
    size = cost.num_labels
    if q.dim() != 2 or p.dim() < 2 or q.shape != p.shape[-2:] or q.shape[1] != size:
        raise ValueError(
            f"need q (B, {size}) and p (..., B, {size}), got {tuple(q.shape)} and {tuple(p.shape)}"
        )
    if not (q.is_floating_point() and p.is_floating_point()):
        raise TypeError(f"q and p must be floating point, got {q.dtype} and {p.dtype}")
    if p.requires_grad:
        raise ValueError("p is a constant here: pass p.detach()")


def _check_rows(name: str, rows: Tensor) -> None:
    """Refuse rows that are no distributions: logits, counts, NaN."""
    if not rows.numel():
        return
    # A product is several times faster than a sum over a short last axis.
    sums = rows @ rows.new_ones(rows.shape[-1])
    slack = max(_OFF_BY, 4 * torch.finfo(rows.dtype).eps)
    # NaN fails both comparisons.
    if not bool(((sums - 1).abs() <= slack).all()) or not bool(rows.amin() >= -1e-6):
        raise ValueError(f"rows of {name} must be distributions: finite, >= 0, sum 1")
