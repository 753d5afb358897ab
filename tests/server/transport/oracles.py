"""What other people's code and the definitions say; nothing here imports the code under test.

Conventions: q (n, C) is the student's, p (n, C) the target's, cost[i, j] the price of moving a
unit of mass from q's label i to p's label j. Everything is float64 numpy.
"""

import warnings

import numpy as np
import ot
from numpy.typing import NDArray
from scipy.optimize import linprog

Array = NDArray[np.float64]


def simplex(q: Array, p: Array, cost: Array) -> tuple[Array, Array]:
    """Values (n,) and plans (n, C, C) of POT's network simplex.

    POT calls negative costs infeasible and stops early on large ones, so it is given the cost
    moved and scaled into [0, 1].
    """
    low, scale = cost.min(), np.ptp(cost) or 1.0
    unit = np.ascontiguousarray((cost - low) / scale)
    plans = np.zeros((len(q), *cost.shape))
    for row, (a, b) in enumerate(zip(q, p, strict=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plans[row] = ot.emd(a, b * (a.sum() / b.sum()), unit, numItermax=10_000_000)
    return low * q.sum(axis=1) + scale * np.einsum("nij,ij->n", plans, unit), plans


def pot(q: Array, p: Array, cost: Array) -> Array:
    """Values (n,) of ``ot.emd2``, moved and scaled as in :func:`simplex`."""
    low, scale = cost.min(), np.ptp(cost) or 1.0
    unit = np.ascontiguousarray((cost - low) / scale)
    pairs = zip(q, p, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = [
            ot.emd2(a, b * (a.sum() / b.sum()), unit, numItermax=10_000_000) for a, b in pairs
        ]
    return low + scale * np.array(values)


def highs(q: Array, p: Array, cost: Array) -> Array:
    """Values (n,) of the dual programme by scipy: max <f, q> + <g, p> with f_i + g_j <= cost_ij.

    A plan certifies an upper bound and potentials a lower one, so :func:`pot` and this one hold
    the truth between them. The primal is called infeasible when masses of 1e-300 are rounded.
    """
    size = len(cost)
    ones, eye = np.ones((size, 1)), np.eye(size)
    sums = np.hstack([np.kron(eye, ones), np.kron(ones, eye)])  # (C^2, 2 C): f_i + g_j
    scale = np.ptp(cost) or 1.0
    unit = ((cost - cost.min()) / scale).ravel()
    bounds = [(0, 0), *[(-1, 1)] * (size - 1), *[(None, None)] * size]
    tight = dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10)
    values = []
    for a, b in zip(q, p, strict=True):
        gain = np.concatenate([a, b * (a.sum() / b.sum())])
        solved = linprog(-gain, sums, unit, bounds=bounds, method="highs-ds", options=tight)
        assert solved.status == 0, solved.message
        values.append(cost.min() - scale * solved.fun)
    return np.array(values)


def dual(plan: Array, cost: Array) -> Array | None:
    """The centred potential f (C,) where the plan leaves no choice, else None.

    Complementary slackness: f_i + g_j = cost_ij wherever mass moves. If the moves join all 2 C
    labels, that fixes f up to a constant; whether some move is so small that rounding could
    have made it is checked as well.
    """
    size = len(cost)
    rows, columns = np.nonzero(plan > 1e-4)
    if len(rows) != np.count_nonzero(plan > 1e-15):
        return None
    system = np.zeros((len(rows), 2 * size))
    system[np.arange(len(rows)), rows] = 1
    system[np.arange(len(rows)), size + columns] = 1
    solution, _, rank, _ = np.linalg.lstsq(system, cost[rows, columns], rcond=None)
    if rank < 2 * size - 1:
        return None
    f, g = solution[:size], solution[size:]
    assert np.all(f[:, None] + g <= cost + 1e-9 * np.abs(cost).max())
    return np.asarray(f - f.mean())


def line(q: Array, p: Array, positions: Array) -> Array:
    """The area between two distribution functions; positions (C,) increase."""
    surplus = np.cumsum(q - p, axis=1)[:, :-1]
    return np.asarray(np.abs(surplus) @ np.diff(positions))


def star(q: Array, p: Array, lengths: Array) -> Array:
    """Everything that moves passes the hub: a leaf pays its own length for what it lacks."""
    return np.asarray(np.abs(q - p) @ lengths)


def total_variation(q: Array, p: Array) -> Array:
    return np.asarray(0.5 * np.abs(q - p).sum(axis=1))
