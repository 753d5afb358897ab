"""Entropic transport: Sinkhorn's scaling with one kernel for the whole batch.

All problems share the (C, C) cost, so half a sweep is one small matrix product and no
exponential; a sweep over per-problem costs in the logarithmic domain is some fifty times
dearer. The price is range: exp(-1 / epsilon) must be representable.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from server.transport.cost import LabelCost

MIN_EPSILON = 1 / 300
"""Below it even the float64 kernel leaves the floating-point range under over-relaxation."""

_DOUBLE_BELOW = 1 / 40
_COARSEST = 0.15
_SETTLE = 2  # plain sweeps before over-relaxation, which is unstable far from the solution


@torch.no_grad()
def potentials(
    q: Tensor,
    p: Tensor,
    cost: Tensor,
    epsilon: float,
    sweeps: int,
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Dual potentials of :math:`\min_P \langle P, M \rangle + \varepsilon KL(P \| q \otimes p)`.

    The plan is :math:`P_{ij} = q_i p_j \exp((f_i + g_j - M_{ij}) / \varepsilon)`. f is exact
    given g, so P has total mass 1 and row sums q; its column sums miss p by what the sweeps
    left. Potentials are finite where q or p is zero: scalings are of densities, not of masses.

    Args:
        q: shape (B, C), rows sum to 1, zeros allowed.
        p: shape (B, C), rows sum to 1, zeros allowed.
        cost: shape (C, C), any finite numbers, rows for q; M above.
        epsilon: regularisation relative to the cost's range, at least :data:`MIN_EPSILON`.
        sweeps: number of sweeps at that epsilon; a smaller one is approached from larger ones.
        start: potentials (B, C) of each side to start from, instead of larger epsilons.

    Returns:
        f, g: each (B, C), in units of the cost and of the dtype of q; rows of f sum to zero.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 4.2 (scaling)
    and 4.4 (potentials); over-relaxation by 3/2: Thibault, Chizat, Dossal, Papadakis.
    *Overrelaxed Sinkhorn-Knopp Algorithm for Regularized Optimal Transport*, 2017,
    https://arxiv.org/abs/1711.01851.
    """
    dtype = torch.float64 if epsilon < _DOUBLE_BELOW else q.dtype
    lowest = float(cost.min())
    span = float(cost.max()) - lowest or 1.0
    scaled = (cost.to(dtype) - lowest) / span
    # Labels first: the same product is five times faster than with labels last.
    q_t, p_t = q.T.to(dtype).contiguous(), p.T.to(dtype).contiguous()
    u, v = torch.ones_like(q_t), torch.ones_like(p_t)
    previous, levels = epsilon, _levels(epsilon, sweeps)
    if start is not None:
        u, v = (((x.T.to(dtype) - lowest / 2) / (epsilon * span)).exp() for x in start)
        levels = levels[-1:]
    for level, count in levels:
        # Potentials carry over between levels, so scalings are raised to a power.
        u, v = u.pow(previous / level), v.pow(previous / level)
        u, v = _scale(u, v, q_t, p_t, torch.exp(-scaled / level), count)
        previous = level
    kernel = torch.exp(-scaled / epsilon)
    f = -epsilon * span * (kernel @ (p_t * v)).log()
    g = epsilon * span * v.log()
    middle = f.mean(dim=0)
    return (f - middle).T.to(q.dtype), (g + middle + lowest).T.to(q.dtype)


@torch.no_grad()
def divergence(
    q: Tensor, p: Tensor, cost: "LabelCost", epsilon: float, sweeps: int, debias: bool
) -> tuple[Tensor, Tensor]:
    r"""Entropic transport or, debiased, the Sinkhorn divergence, with its gradient.

    .. math:: S_\varepsilon(q, p) = OT_\varepsilon(q, p)
              - \tfrac12 OT_\varepsilon(q, q) - \tfrac12 OT_\varepsilon(p, p)

    The divergence is zero, and least, at q = p, where plain entropic transport is neither.

    Args:
        q: shape (B, C), rows sum to 1.
        p: shape (T, B, C), rows sum to 1.
        cost: the ground cost; symmetric if debiased.
        epsilon: as in :func:`potentials`.
        sweeps: as in :func:`potentials`.
        debias: whether to subtract the self-transports.

    Returns:
        Dual values (T, B) and centred gradients with respect to q (T, B, C).

    Raises:
        ValueError: debiased, and the cost is not symmetric.

    Reference: Feydy, Séjourné, Vialard, Amari, Trouvé, Peyré. *Interpolating between Optimal
    Transport and MMD using Sinkhorn Divergences*, AISTATS 2019, equation 3 and section 3.1.
    https://arxiv.org/abs/1810.08278
    """
    (matrix,) = cost.tensors("matrix", torch.float64, q.device)
    rows, columns = q.expand_as(p).reshape(-1, q.shape[1]), p.reshape(-1, q.shape[1])
    start = None
    if debias:  # started from the self-transports, a student at its target is left alone
        if not cost.is_symmetric:
            raise ValueError("only the entropic transport of a symmetric cost can be debiased")
        own, theirs = (self_potential(x, matrix, epsilon, sweeps) for x in (q, columns))
        start = own, theirs = own.expand_as(p).reshape(rows.shape), theirs
    f, g = potentials(rows, columns, matrix, epsilon, sweeps, start)
    values = (f * rows).sum(dim=1) + (g * columns).sum(dim=1)
    if start is not None:
        values = values - (own * rows).sum(dim=1) - (theirs * columns).sum(dim=1)
        f = f - own
        f = f - f.mean(dim=1, keepdim=True)
    return values.view(p.shape[:-1]), f.view(p.shape)


@torch.no_grad()
def self_potential(q: Tensor, cost: Tensor, epsilon: float, sweeps: int) -> Tensor:
    """The potential f = g of entropic transport from q to itself, by averaged sweeps.

    Args:
        q: shape (B, C), rows sum to 1.
        cost: shape (C, C), symmetric.
        epsilon: as in :func:`potentials`.
        sweeps: at that epsilon; they converge much faster than those between unlike marginals.

    Returns:
        Shape (B, C); half of the self-transport is its mean under q.

    Reference: as for :func:`divergence`, section 3.1 (the symmetric fixed point).
    """
    dtype = torch.float64 if epsilon < _DOUBLE_BELOW else q.dtype
    lowest = float(cost.min())
    span = float(cost.max()) - lowest or 1.0
    scaled, mass = (cost.to(dtype) - lowest) / span, q.T.to(dtype).contiguous()
    scaling, previous = torch.ones_like(mass), epsilon
    for level, count in _levels(epsilon, sweeps):
        kernel = torch.exp(-scaled / level)
        scaling = scaling.pow(previous / level)
        for _ in range(count):
            scaling = (scaling / (kernel @ (mass * scaling))).sqrt_()
        previous = level
    return (epsilon * span * scaling.log() + lowest / 2).T.to(q.dtype)


def _levels(epsilon: float, sweeps: int) -> list[tuple[float, int]]:
    """Regularisations from coarse to fine, with their sweeps.

    Steps by three, since a scaling that is representable stays so when cubed.
    """
    levels, coarser = [(epsilon, sweeps)], 3 * epsilon
    while coarser <= _COARSEST:
        levels.append((coarser, 3))
        coarser *= 3
    return levels[::-1]


def _scale(
    u: Tensor, v: Tensor, q: Tensor, p: Tensor, kernel: Tensor, sweeps: int
) -> tuple[Tensor, Tensor]:
    """Sweeps at one level, over-relaxed except for the first two and the last."""
    back = kernel.T.contiguous()
    for sweep in range(sweeps):
        relax = _over if _SETTLE <= sweep < sweeps - 1 else _plain
        u = relax(u, kernel @ (p * v))
        v = relax(v, back @ (q * u))
    return u, v


def _plain(old: Tensor, x: Tensor) -> Tensor:
    del old
    return x.reciprocal()


def _over(old: Tensor, x: Tensor) -> Tensor:
    """``old ** (1 - w) * x ** -w`` at w = 3/2, without a power: old * x is close to 1."""
    return (old * x).rsqrt_().div_(x)
