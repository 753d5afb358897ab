"""Where teachers and student disagree most, and what would have to move to reconcile them.

Axes: K teachers, N transfer samples, C labels. Costs are in units of the ground cost.
Everything here is made of what was released: predictions, weights, the public texts' order.
"""

from dataclasses import dataclass

import numpy as np
import torch

from common.arrays import Floats, Ints
from server.transport import lp
from server.transport.cost import LabelCost
from server.transport.solve import transport_cost, transport_plan
from simulations.reporting.plane import is_even, on_line

_AT_ONCE = 64
_NOTHING = 1e-12  # mass that is rounding


@dataclass(frozen=True, eq=False)
class Dispute:
    """One sample, and how far each teacher is from the student on it.

    Attributes:
        row: the sample, 0..N-1.
        costs: shape (K,), what it costs to turn each teacher's prediction into the student's.
        mean: their weighted mean.
    """

    row: int
    costs: Floats
    mean: float


def most_disputed(
    q: Floats, p: Floats, weights: Floats, cost: LabelCost, count: int
) -> list[Dispute]:
    """The samples with the largest weighted mean transport cost, the largest first, exactly.

    A plan that leaves in place what both sides share, and spreads the rest in proportion, is
    allowed and hence never too cheap. Samples are solved in the order of this bound, until
    it rules the others out.

    Args:
        q: shape (N, C), the student's predictions.
        p: shape (K, N, C), the teachers'.
        weights: shape (K, N), columns sum to 1.
        cost: symmetric, zero on the diagonal.
        count: how many; fewer where N is smaller.
    """
    q, bound = exact(q), np.zeros(len(q))
    for weight, teacher in zip(weights, p, strict=True):
        bound += weight * _too_dear(q, exact(teacher), cost)
    order = np.argsort(-bound, kind="stable")
    found: list[Dispute] = []
    for rows in np.split(order, range(_AT_ONCE, len(order), _AT_ONCE)):
        if len(found) == count and found[-1].mean >= bound[rows[0]]:
            break
        costs = _costs(q[rows], exact(p[:, rows]), cost)  # (K, rows)
        means = (weights[:, rows] * costs).sum(axis=0)
        found += [Dispute(int(row), costs[:, i], float(means[i])) for i, row in enumerate(rows)]
        found = sorted(found, key=lambda dispute: (-dispute.mean, dispute.row))[:count]
    return found


def exact(probs: Floats) -> Floats:
    """Shape (..., C): in float64, and summing to 1 there too."""
    rows = np.asarray(probs, dtype=np.float64)
    made: Floats = rows / rows.sum(axis=-1, keepdims=True)
    return made


def plan(q: Floats, p: Floats, cost: LabelCost) -> Floats:
    """A cheapest way to turn ``p`` into ``q``; under a metric, what both share stays in place.

    Of several cheapest plans a metric thereby gets the one in which least mass moves, which is
    the one to look at. On a line the rest moves in order, without crossing; so it does where
    all labels are equally far apart, and any order will do.

    Args:
        q: shape (C,), the student's distribution, float64, sums to 1.
        p: shape (C,), the teacher's, likewise.
        cost: symmetric, zero on the diagonal.

    Returns:
        Shape (C, C), float64; entry (a, b) goes from label a of p to label b of q.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, remark 2.30 (line) and
    section 6.1 (the cost under a metric depends on q - p alone).
    """
    if not cost.is_metric:
        asked: Floats = transport_plan(q, p, cost).T
        return asked
    shared = np.minimum(q, p)
    surplus, deficit = p - shared, q - shared
    moved = surplus.sum()
    if moved <= _NOTHING:
        return np.diag(shared)
    surplus, deficit = surplus / moved, deficit / deficit.sum()
    places = _places(cost)
    if places is None:
        rest = transport_plan(deficit, surplus, cost).T
    else:
        rest = _in_order(surplus, deficit, np.argsort(places, kind="stable"))
    made: Floats = np.diag(shared) + moved * rest
    return made


def _too_dear(q: Floats, p: Floats, cost: LabelCost) -> Floats:
    """Shape (N,): an upper bound of the cost; exact where all labels are equally far apart."""
    shared = np.minimum(q, p)
    surplus, deficit = p - shared, q - shared
    moved = np.maximum(deficit.sum(axis=1), _NOTHING)
    bound: Floats = ((surplus @ cost.matrix) * deficit).sum(axis=1) / moved
    return bound


def _costs(q: Floats, p: Floats, cost: LabelCost) -> Floats:
    """Shape (K, B), exact."""
    student, teachers = torch.from_numpy(q), torch.from_numpy(p)
    if cost.solver() == "lp":
        # To compile the faster engine takes longer than to solve a few hundred problems.
        return np.asarray(lp.solve(student, teachers, cost, "simplex")[0])
    return np.asarray(transport_cost(student, teachers, cost, validate=False))


def _places(cost: LabelCost) -> Floats | None:
    """Coordinates (C,) in whose order mass may move; None where only a solver knows."""
    if is_even(cost.matrix):
        return np.arange(cost.num_labels, dtype=np.float64)
    return on_line(cost.matrix)


def _in_order(surplus: Floats, deficit: Floats, order: Ints) -> Floats:
    """The monotone plan (C, C) between two distributions, labels taken in ``order``."""
    into = np.zeros((len(surplus), len(deficit)))
    ends = [np.cumsum(mass[order]) for mass in (surplus, deficit)]
    cuts = np.unique(np.concatenate([*ends, [0.0]]))
    middles = (cuts[1:] + cuts[:-1]) / 2
    last = len(order) - 1
    source, target = (order[np.minimum(np.searchsorted(end, middles), last)] for end in ends)
    np.add.at(into, (source, target), np.diff(cuts))
    return into
