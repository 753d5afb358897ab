"""Wasserstein barycentres on the fixed support of the C labels, for all samples at once.

Labels on a line, in whatever order they are named, have an exact solution; every other cost is
served by scaling with one kernel. A general tree has none: the medians of its branches need not
add up to a distribution (three certain teachers at three leaves of a star: all medians zero).
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.arrays import Floats

_TIE = 1e-12  # of a total weight or of a gap: what rounding alone can move
_LINE = 1e-9  # of the largest cost
_ROWS_AT_ONCE = 256  # their scalings stay in the cache
_SWEEPS_PER_EPSILON = 10

Doubles = NDArray[np.float64]


def line_positions(cost: Floats) -> Doubles | None:
    """Where the labels lie on a line whose distances are ``cost``; None if there is none.

    Args:
        cost: shape (C, C), symmetric, zero on the diagonal.

    Returns:
        Shape (C,), in units of the cost, all different, in any order.
    """
    cost = np.asarray(cost, dtype=np.float64)
    positions = cost[cost[0].argmax()]  # seen from an end of the line, if it is one
    nearest = np.diff(np.sort(positions)).min()
    distances = np.abs(positions[:, None] - positions[None, :])
    slack = _LINE * cost.max()
    return positions if nearest > slack and np.abs(distances - cost).max() <= slack else None


def median(probs: Floats, weights: Floats) -> Doubles:
    r"""Exact barycentre for the distance on a line: weighted medians of the K quantile functions.

    :math:`W_1` is a sum over gaps of :math:`|F_a(c) - F_k(c)|` times the gap's length, so each
    :math:`F_a(c)` may be chosen alone: any weighted median of the :math:`F_k(c)` is optimal. Of
    an interval of medians we take the middle. Its two ends rise with c, for they are order
    statistics of values that all rise, so the middle does: the choice is a distribution
    function, and the same whichever end of the line is first. Lengths of gaps do not matter.

    Args:
        probs: shape (K, N, C), rows sum to 1, labels from one end of the line to the other.
        weights: shape (K, N), columns sum to 1; zero weights have no influence.

    Returns:
        Shape (N, C), rows sum to 1.

    Reference: Rabin, Peyré, Delon, Bernot. *Wasserstein Barycenter and its Application to
    Texture Mixing*, 2011, section 2 (one dimension); Peyré, Cuturi. *Computational Optimal
    Transport*, 2019, section 9.2 and remark 2.30.
    """
    below = np.cumsum(probs, axis=2, dtype=np.float64)[:, :, :-1]  # (K, N, C - 1)
    order = below.argsort(axis=0, kind="stable")
    below = np.take_along_axis(below, order, axis=0)
    shares = np.broadcast_to(weights[:, :, None], below.shape)
    reached = np.take_along_axis(shares, order, axis=0).cumsum(axis=0)
    low = (reached >= 0.5 - _TIE).argmax(axis=0)[None]
    high = (reached > 0.5 + _TIE).argmax(axis=0)[None]
    ends = np.take_along_axis(below, low, axis=0) + np.take_along_axis(below, high, axis=0)
    middle: Floats = ends[0] / 2
    return _distributions(np.diff(middle, axis=1, prepend=0.0, append=1.0))


def quantile_mean(
    probs: Floats, weights: Floats, positions: Floats, *, nearest: bool = True
) -> Doubles:
    r"""Barycentre for the squared distance on a line: :math:`F^{-1} = \sum_k w_k F_k^{-1}`.

    The mean of the quantile functions is the barycentre on the whole line (Agueh and Carlier).
    Its atoms lie between labels. Moving each to its **nearest** label, half to either if both
    are equally near, gives an exact minimiser among distributions on the labels: the cost of a
    joint quantile :math:`(x_1, \dots, x_K)` is then
    :math:`\min_j \sum_k w_k (y_j - x_k)^2`, which is a constant of the marginals minus a convex
    function of :math:`\sum_k w_k x_k`, and moving all quantiles together makes the expectation
    of every such function largest.

    Dividing each atom between its two neighbours instead, by closeness, keeps the mean
    position :math:`\sum_k w_k E_k[x]` and depends on the weights continuously, but it is not
    the minimiser.

    Args:
        probs: shape (K, N, C), rows sum to 1, labels in the order of ``positions``.
        weights: shape (K, N), columns sum to 1; zero weights have no influence.
        positions: shape (C,), increasing; x and y above.
        nearest: whether atoms move to the nearest label, or are divided between two.

    Returns:
        Shape (N, C), rows sum to 1.

    Reference: Agueh, Carlier. *Barycenters in the Wasserstein Space*, 2011, section 6.1 (one
    dimension) and section 4 (the multi-marginal form); Peyré, Cuturi. *Computational Optimal
    Transport*, 2019, section 9.2.
    """
    clients, samples, labels = probs.shape
    gaps = np.diff(positions)
    # Where the k-th quantile function steps over gap c, at level F_k(c), the mean rises.
    levels = np.cumsum(probs, axis=2, dtype=np.float64)[:, :, :-1].transpose(1, 0, 2)
    levels = levels.reshape(samples, clients * (labels - 1)).clip(0.0, 1.0)
    rises = (weights.T[:, :, None] * gaps).reshape(samples, -1)
    order = levels.argsort(axis=1, kind="stable")
    levels = np.take_along_axis(levels, order, axis=1)
    masses = np.diff(levels, axis=1, prepend=0.0, append=1.0)
    atoms = np.zeros_like(masses)
    atoms[:, 1:] = np.take_along_axis(rises, order, axis=1).cumsum(axis=1)
    return _deposit(atoms + positions[0], masses, positions, nearest)


def _deposit(atoms: Doubles, masses: Doubles, positions: Floats, nearest: bool) -> Doubles:
    """Masses (N, L) at atoms (N, L), put on the labels around them: shape (N, C)."""
    samples, labels = len(atoms), len(positions)
    left = np.clip(np.searchsorted(positions, atoms, side="right") - 1, 0, labels - 2)
    part = np.clip((atoms - positions[left]) / np.diff(positions)[left], 0.0, 1.0)
    if nearest:
        part = np.where(np.abs(part - 0.5) <= _TIE, 0.5, (part > 0.5).astype(np.float64))
    cells = (left + labels * np.arange(samples)[:, None]).ravel()
    size = samples * labels
    stay = np.bincount(cells, ((1 - part) * masses).ravel(), size)
    move = np.bincount(cells + 1, (part * masses).ravel(), size)
    summed: Floats = np.asarray(stay + move, dtype=np.float64)
    return _distributions(summed.reshape(samples, labels))


def debiased(probs: Floats, weights: Floats, cost: Floats, epsilon: float) -> Doubles:
    r"""Barycentre of debiased Sinkhorn divergences, for any symmetric cost.

    Minimises :math:`\sum_k w_k (OT_\varepsilon(a, p_k) - \frac12 OT_\varepsilon(a, a))` by
    iterated Bregman projections, in units where the largest cost is 1. The second term undoes
    the blur of the first, so that teachers who agree are repeated; labels closer than
    :math:`\varepsilon` are told apart slowly, and sweeps may end before. Where several
    distributions are optimal without regularisation, this picks one by no order of teachers.

    Args:
        probs: shape (K, N, C), rows sum to 1, zeros allowed.
        weights: shape (K, N), columns sum to 1; zero weights have no influence.
        cost: shape (C, C), symmetric, non-negative.
        epsilon: regularisation relative to the largest cost, at least 1/300; ten sweeps are
            made per unit of its inverse.

    Returns:
        Shape (N, C), rows sum to 1.

    Reference: Janati, Cuturi, Gramfort. *Debiased Sinkhorn Barycenters*, ICML 2020,
    algorithm 1, https://arxiv.org/abs/2006.02575; without debiasing: Benamou, Carlier, Cuturi,
    Nenna, Peyré. *Iterative Bregman Projections for Regularized Transportation Problems*,
    2015, section 3.2.
    """
    kernel = np.exp(-np.asarray(cost, dtype=np.float64) / ((cost.max() or 1.0) * epsilon))
    sweeps = math.ceil(_SWEEPS_PER_EPSILON / epsilon)
    parts = range(0, probs.shape[1], _ROWS_AT_ONCE)
    made = [
        _scale(probs[:, i : i + _ROWS_AT_ONCE], weights[:, i : i + _ROWS_AT_ONCE], kernel, sweeps)
        for i in parts
    ]
    return _distributions(np.concatenate(made))


def _scale(probs: Floats, weights: Floats, kernel: Doubles, sweeps: int) -> Doubles:
    """The sweeps for some samples; half a sweep is one product with the kernel."""
    shares = np.asarray(weights, dtype=np.float64)[:, :, None]
    v = np.ones(probs.shape)
    consensus = d = np.ones(probs.shape[1:])
    for _ in range(sweeps):
        u = probs / (v @ kernel)
        seen = u @ kernel
        consensus = d * np.exp((shares * np.log(seen)).sum(axis=0))
        v = consensus / seen
        d = np.sqrt(d * consensus / (d @ kernel))
    return consensus


def _distributions(rows: Floats) -> Doubles:
    """Rows (N, C) without the last trace of rounding: not negative, summing to 1."""
    rows = np.maximum(rows, 0.0)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float64)
