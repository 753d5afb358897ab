"""Entropic transport: Sinkhorn's scaling with one kernel for the whole batch.

All problems share the (C, C) cost, so half a sweep is one small matrix product and no
exponential; a sweep over per-problem costs in the logarithmic domain is some fifty times
dearer. The price is range: exp(-1 / epsilon) must be representable.
"""

import torch
from torch import Tensor

MIN_EPSILON = 1 / 300
"""Below it even the float64 kernel leaves the floating-point range under over-relaxation."""

_DOUBLE_BELOW = 1 / 40
_COARSEST = 0.15
_SETTLE = 2  # plain sweeps before over-relaxation, which is unstable far from the solution


@torch.no_grad()
def potentials(
    q: Tensor, p: Tensor, cost: Tensor, epsilon: float, sweeps: int
) -> tuple[Tensor, Tensor]:
    r"""Dual potentials of :math:`\min_P \langle P, M \rangle + \varepsilon KL(P \| q \otimes p)`.

    The plan is :math:`P_{ij} = q_i p_j \exp((f_i + g_j - M_{ij}) / \varepsilon)`. f is exact
    given g, so P has total mass 1 and row sums q; its column sums miss p by what the sweeps
    left. Potentials are finite where q or p is zero: scalings are of densities, not of masses.

    Args:
        q: shape (B, C), rows sum to 1, zeros allowed.
        p: shape (B, C), rows sum to 1, zeros allowed.
        cost: shape (C, C), symmetric, non-negative; M above.
        epsilon: regularisation relative to the largest cost, at least :data:`MIN_EPSILON`.
        sweeps: number of sweeps at that epsilon; a smaller one is approached from larger ones.

    Returns:
        f, g: each (B, C), in units of the cost and of the dtype of q; rows of f sum to zero.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 4.2 (scaling)
    and 4.4 (potentials); over-relaxation by 3/2: Thibault, Chizat, Dossal, Papadakis.
    *Overrelaxed Sinkhorn-Knopp Algorithm for Regularized Optimal Transport*, 2017,
    https://arxiv.org/abs/1711.01851.
    """
    dtype = torch.float64 if epsilon < _DOUBLE_BELOW else q.dtype
    largest = float(cost.max()) or 1.0
    scaled = cost.to(dtype) / largest
    # Labels first: the same product is five times faster than with labels last.
    q_t, p_t = q.T.to(dtype).contiguous(), p.T.to(dtype).contiguous()
    u, v = torch.ones_like(q_t), torch.ones_like(p_t)
    previous = epsilon
    for level, count in _levels(epsilon, sweeps):
        # Potentials carry over between levels, so scalings are raised to a power.
        u, v = u.pow(previous / level), v.pow(previous / level)
        u, v = _scale(u, v, q_t, p_t, torch.exp(-scaled / level), count)
        previous = level
    kernel = torch.exp(-scaled / epsilon)
    f = -epsilon * largest * (kernel @ (p_t * v)).log()
    g = epsilon * largest * v.log()
    middle = f.mean(dim=0)
    return (f - middle).T.to(q.dtype), (g + middle).T.to(q.dtype)


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
    for sweep in range(sweeps):
        relax = _over if _SETTLE <= sweep < sweeps - 1 else _plain
        u = relax(u, kernel @ (p * v))
        v = relax(v, kernel @ (q * u))
    return u, v


def _plain(old: Tensor, x: Tensor) -> Tensor:
    del old
    return x.reciprocal()


def _over(old: Tensor, x: Tensor) -> Tensor:
    """``old ** (1 - w) * x ** -w`` at w = 3/2, without a power: old * x is close to 1."""
    return (old * x).rsqrt_().div_(x)
