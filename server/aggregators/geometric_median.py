"""The point with the least sum of distances to all opinions."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import one_target
from server.opinions import distributions
from server.weightings import normalised

_STEPS = 1000
_SETTLED = 1e-9  # a step shorter than this ends a sample
_SAME = 1e-10  # nearer than this, a point stands on an opinion


@final
@component
class GeometricMedian(Aggregator):
    r"""One target per sample, T = 1: the point with the least sum of Euclidean distances.

    .. math:: a(x) = \arg\min_a \sum_k w_k(x) \| a - p_k(x) \|_2

    The minimiser lies among the mixtures of the opinions, so it is a distribution. Weiszfeld's
    iteration from the weighted mean finds it; where it stands on an opinion, Vardi and Zhang's
    rule says whether to stay. A sample ends with a step below 1e-9, or after 1,000; for random
    opinions the sum was then within 1e-7 of the least. Where the opinions lie on a line and an
    interval is optimal, it is the point of it that the mean leads to. It needs the predictions
    only, one by one: a sum over clients does not do.

    What is proven: if a group holds a share :math:`\alpha < 1/2` of the weight of a sample and
    all others lie within r of some point, the minimiser lies within
    :math:`2 r (1 - \alpha) / (1 - 2\alpha)` of it, whatever the group says. With clients that
    differ much, r is large and this says little, for no two distributions are farther apart
    than :math:`\sqrt 2`. It says nothing of what the student learns.

    Departures: the source aggregates parameters, and smooths distances near zero instead.

    Reference: Weiszfeld. *Sur le point pour lequel la somme des distances de n points donnés est
    minimum*, 1937; Vardi, Zhang. *The multivariate L1-median and associated data depth*, PNAS
    97, 2000; Pillutla, Kakade, Harchaoui. *Robust Aggregation for Federated Learning*, 2022,
    https://arxiv.org/abs/1912.13445; the bound: Minsker. *Geometric Median and Robust Estimation
    in Banach Spaces*, 2015, lemma 2.1.
    """

    robust: ClassVar[bool] = True

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        return middle(probs, weights)


def middle(probs: Floats, weights: Floats) -> Targets:
    """The geometric median of opinions (K, N, C) under weights (K, N), as one target."""
    rows, shares = distributions(probs), normalised(weights)
    made = np.einsum("kn,knc->nc", shares, rows)
    moving = np.arange(len(made))
    for _ in range(_STEPS):
        steps = _steps(rows[:, moving], shares[:, moving], made[moving])
        made[moving] += steps
        moving = moving[np.sqrt((steps * steps).sum(axis=1)) > _SETTLED]
        if not len(moving):
            break
    return one_target(np.maximum(_snapped(rows, shares, made), 0.0))


def _steps(probs: Floats, shares: Floats, made: Floats) -> Floats:
    """Where Vardi and Zhang's iteration moves points ``made`` (N, C), shape (N, C)."""
    force, held, total = _forces(probs, shares, made)
    strength = np.sqrt((force * force).sum(axis=1))
    # It stays if what stands here holds more than all others pull.
    free = np.divide(strength - held, strength, out=np.zeros_like(held), where=strength > held)
    scale = np.divide(free, total, out=np.zeros_like(held), where=total > 0)
    steps: Floats = scale[:, None] * force
    return steps


def _snapped(probs: Floats, shares: Floats, made: Floats) -> Floats:
    """Points (N, C), put on the nearest opinion where that is the only minimiser.

    Towards an opinion that holds little more than all others pull, steps become short long
    before the end.
    """
    gaps = np.where(shares > 0, np.linalg.norm(probs - made, axis=2), np.inf)
    nearest = np.take_along_axis(probs, gaps.argmin(axis=0)[None, :, None], axis=0)[0]
    force, held, _ = _forces(probs, shares, nearest)
    kept = np.sqrt((force * force).sum(axis=1)) < held - _SETTLED
    return np.where(kept[:, None], nearest, made)


def _forces(probs: Floats, shares: Floats, made: Floats) -> tuple[Floats, Floats, Floats]:
    """How the opinions pull at points ``made`` (N, C).

    Args:
        probs: shape (K, N, C).
        shares: shape (K, N), columns sum to 1.
        made: shape (N, C).

    Returns:
        The sum of the pulls of those that stand elsewhere, (N, C); the share of those that
        stand here, (N,); and the sum of shares over distances, (N,).
    """
    gaps = probs - made
    distances = np.sqrt(np.einsum("knc,knc->kn", gaps, gaps))
    apart = distances > _SAME
    pulls = np.divide(shares, distances, out=np.zeros_like(shares), where=apart)
    held = _over_clients(np.where(apart, 0.0, shares))
    force: Floats = np.einsum("kn,knc->nc", pulls, gaps)
    return force, held, _over_clients(pulls)


def _over_clients(values: Floats) -> Floats:
    """Sums of the columns of (K, N), whose bits do not depend on how many columns there are.

    ``sum`` adds a single column pairwise, and samples leave the iteration one by one.
    """
    sums: Floats = values.cumsum(axis=0)[-1]
    return sums
