"""What each single prediction contributes to a metric: the terms whose means are reported.

Axes: N samples, C labels, D coordinates. ``probs`` is shape (N, C), rows are
distributions; ``labels`` is shape (N,), integers 0..C-1. Every function returns shape
(N,), float64. :mod:`common.metrics` averages these terms, :mod:`common.intervals` averages
them over resampled rows.
"""

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry

TINY = 1e-12
"""Probabilities below it are read as it where a logarithm is taken."""


def checked(probs: Floats, labels: Ints) -> tuple[Floats, Ints]:
    """Both as float64 and int64.

    Raises:
        ValueError: shapes differ, there is no row, a value is not finite, or a label is
            not among 0..C-1.
    """
    probs, labels = np.asarray(probs, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if probs.ndim != 2 or labels.shape != probs.shape[:1] or not len(labels):
        raise ValueError(f"expected (N, C) and (N,), N > 0, got {probs.shape} and {labels.shape}")
    if not np.all(np.isfinite(probs)):
        raise ValueError("predictions must be finite")
    if labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise ValueError(f"labels must lie in 0..{probs.shape[1] - 1}")
    return probs, labels


def hits(probs: Floats, labels: Ints) -> Floats:
    """1 where the largest probability is on the gold label, else 0; ties go down."""
    probs, labels = checked(probs, labels)
    right: Floats = (probs.argmax(axis=1) == labels).astype(np.float64)
    return right


def distances(probs: Floats, labels: Ints, geometry: LabelGeometry) -> Floats:
    """``|| sum_a p_a u_a - u_y ||_2``: from the mean position to the gold label's point."""
    probs, labels = checked(probs, labels)
    away = probs @ geometry.points - geometry.points[labels]  # (N, D)
    norms: Floats = np.sqrt(np.einsum("ni,ni->n", away, away))
    return norms


def transports(probs: Floats, labels: Ints, geometry: LabelGeometry) -> Floats:
    """Exact transport cost to the one-hot gold label, ``sum_a p_a M[a, y]``.

    All mass must travel to one label, so the plan is forced (Villani, Topics in Optimal
    Transportation, section 1.1: transport to a point mass).
    """
    probs, labels = checked(probs, labels)
    costs: Floats = np.einsum("nc,nc->n", probs, geometry.cost[labels])
    return costs


def transports_between(probs: Floats, gold: Floats, geometry: LabelGeometry) -> Floats:
    """Exact transport cost from each row of ``probs`` to that of ``gold``, both (N, C).

    On a line the closed form ``sum_c |P(c) - Q(c)| (u_{c+1} - u_c)`` over cumulative sums
    P, Q (Villani 2003, theorem 2.18); where all labels are equally far apart, that
    distance times the total variation (Gibbs and Su, "On choosing and bounding probability
    metrics", 2002, theorem 4: its two bounds meet); for any other cost POT's network
    simplex, one row at a time. Rows are normalised to sum 1 first, because their rounding
    would make a plan infeasible.

    Raises:
        ValueError: shapes differ, or a row is no distribution.
    """
    source, target = _distributions(probs), _distributions(gold)
    if source.shape != target.shape:
        raise ValueError(f"probs {source.shape} and gold {target.shape} differ in shape")
    if geometry.is_line:
        ahead = np.cumsum(source - target, axis=1)[:, :-1]
        on_line: Floats = np.abs(ahead) @ np.diff(geometry.points[:, 0])
        return on_line
    apart = geometry.cost[~np.eye(len(geometry), dtype=bool)]
    if np.all(apart == apart[0]):
        flat: Floats = 0.5 * apart[0] * np.abs(source - target).sum(axis=1)
        return flat
    return _by_simplex(source, target, geometry.cost)


def ranked(probs: Floats, labels: Ints) -> Floats:
    """``1/(C-1) sum_{c<C} (P(c) - [y <= c])^2``, P the cumulative sum: 0..1.

    Steps between neighbouring labels count the same, wherever the labels lie. Source:
    Epstein, "A scoring system for probability forecasts of ranked categories", J. Appl.
    Meteorol. 8, 1969, whose score is 1 minus this; the form is Murphy's (Mon. Weather Rev.
    98, 1970), divided by C - 1 as Epstein does.
    """
    probs, labels = checked(probs, labels)
    size = probs.shape[1]
    ahead = np.cumsum(probs[:, :-1], axis=1) - (labels[:, None] <= np.arange(size - 1))
    scores: Floats = np.einsum("nc,nc->n", ahead, ahead) / (size - 1)
    return scores


def surprises(probs: Floats, labels: Ints) -> Floats:
    """``-log p_y`` in nats; p is clipped at 1e-12."""
    probs, labels = checked(probs, labels)
    return -np.log(np.maximum(probs[np.arange(len(labels)), labels], TINY))


def squares(probs: Floats, labels: Ints) -> Floats:
    """Squared distance to the one-hot gold label, 0..2 (Brier 1950, all classes)."""
    probs, labels = checked(probs, labels)
    away = probs - np.eye(probs.shape[1])[labels]
    scores: Floats = np.einsum("nc,nc->n", away, away)
    return scores


def _by_simplex(source: Floats, target: Floats, cost: Floats) -> Floats:
    # POT takes seconds to import; runs on a line never pay for it.
    from ot import emd2

    # Its tolerances are absolute: a cost of 1e-9 or 1e9 must look like one of 1.
    scale = float(cost.max()) or 1.0
    ground = np.ascontiguousarray(cost / scale)
    return scale * np.array([emd2(p, q, ground) for p, q in zip(source, target, strict=True)])


def _distributions(probs: Floats) -> Floats:
    rows: Floats = np.array(probs, dtype=np.float64)
    total = rows.sum(axis=1, keepdims=True)
    if not np.all(np.isfinite(rows)) or np.any(rows < 0) or np.any(total <= 0):
        raise ValueError("a distribution is finite, not negative and not all zero")
    rows /= total
    return rows
