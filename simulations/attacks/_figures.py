"""What is measured of a membership attack: figures of its ranking, with honest intervals.

Axes: T target models, P candidates, B draws, G different scores, F rates. Members and
non-members are told apart by a score; the larger, the likelier a member. Decisions on one model
share its training, so models and not decisions are drawn again (a cluster bootstrap: Field,
Welsh. *Bootstrapping clustered data*, JRSS B 2007, section 2).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from common.arrays import Floats, Ints

Masks = NDArray[np.bool_]
"""Yes or no, as who has seen what."""

RATES = (0.01, 0.001)
"""False-positive rates at which true-positive rates are told."""

_DRAWS, _LEVEL, _BLOCK = 200, 0.95, 25
_SLACK = 1e-12
_MISTAKEN = 0.01  # how likely a promise that was kept is said to be broken


@dataclass(frozen=True)
class Curve:
    """Of every weighting of the decisions: the area under the curve, and points on it.

    Attributes:
        auc: shape (B,).
        tpr: shape (B, F).
    """

    auc: Floats
    tpr: Floats


def curve(scores: Floats, inside: Masks, weights: Floats, rates: tuple[float, ...]) -> Curve:
    """Of the receiver's operating characteristic under weights; equal scores stand together.

    A true-positive rate is the largest among the thresholds whose false-positive rate is at
    most the wanted one, without interpolation (Carlini et al. *Membership Inference Attacks From
    First Principles*, IEEE S&P 2022, section 3).

    Args:
        scores: shape (n,).
        inside: shape (n,), whether it is a member.
        weights: shape (B, n), at least 0.
        rates: F false-positive rates.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    sorted_in, sorted_weights = inside[order].astype(float), weights[:, order]
    hits = _rates(sorted_weights * sorted_in, ends)
    misses = _rates(sorted_weights * (1 - sorted_in), ends)
    area = ((hits[:, 1:] + hits[:, :-1]) / 2 * np.diff(misses, axis=1)).sum(axis=1)
    tpr = [np.where(misses <= rate + _SLACK, hits, 0).max(axis=1) for rate in rates]
    return Curve(area, np.stack(tpr, axis=1))


def _rates(weights: Floats, ends: Ints) -> Floats:
    """Shape (B, G + 1): the share of the weight above each threshold, from 0 to 1."""
    sums = weights.cumsum(axis=1)[:, ends]
    shares = sums / np.maximum(sums[:, -1:], _SLACK)
    made: Floats = np.concatenate([np.zeros((len(shares), 1)), shares], axis=1)
    return made


def membership(scores: Floats, inside: Masks, rng: np.random.Generator) -> dict[str, Any]:
    """All figures of one attack, as JSON.

    Args:
        scores: shape (T, P).
        inside: shape (T, P).
        rng: draws models for the intervals.

    Returns:
        ``auc``, ``tpr`` (by rate, as texts) and the same with ``_interval`` at 95 %,
        ``decisions``, ``negatives``, ``targets``, ``worst`` (see :func:`worst_hit`).
    """
    models, flat = np.repeat(np.arange(len(scores)), scores.shape[1]), scores.ravel()
    best = curve(flat, inside.ravel(), np.ones((1, flat.size)), RATES)
    parts = []
    for _ in range(_DRAWS // _BLOCK):
        drawn = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), _BLOCK)
        parts.append(curve(flat, inside.ravel(), drawn[:, models].astype(float), RATES))
    tail = (1 - _LEVEL) / 2
    auc = np.quantile(np.concatenate([part.auc for part in parts]), [tail, 1 - tail])
    tpr = np.quantile(np.concatenate([part.tpr for part in parts]), [tail, 1 - tail], axis=0)
    return {
        "auc": float(best.auc[0]),
        "auc_interval": auc.tolist(),
        "tpr": {str(r): float(v) for r, v in zip(RATES, best.tpr[0], strict=True)},
        "tpr_interval": {str(r): v.tolist() for r, v in zip(RATES, tpr.T, strict=True)},
        "decisions": int(flat.size),
        "negatives": int((~inside.astype(bool)).sum()),
        "targets": len(scores),
        "worst": worst_hit(scores, inside),
    }


def worst_hit(scores: Floats, inside: Masks, count: int = 5) -> dict[str, Any]:
    """The candidates that are told apart best, for an average hides them.

    They are chosen on the even models and measured on the odd ones, so that the choice does not
    flatter the figure (Aerni, Zhang, Tramer. *Evaluations of Machine Learning Privacy Defenses
    are Misleading*, CCS 2024, section 4, ask for the most vulnerable examples).

    Returns:
        ``candidates``, their indices, and ``auc``, the mean over them; empty and None where
        there are too few models.
    """
    if len(scores) < 8:
        return {"candidates": [], "auc": None}
    chosen = np.argsort(-_each(scores[::2], inside[::2]), kind="stable")[:count]
    found = _each(scores[1::2], inside[1::2])[chosen]
    return {"candidates": sorted(map(int, chosen)), "auc": float(found.mean())}


def _each(scores: Floats, inside: Masks) -> Floats:
    """Shape (P,): the area under each candidate's own curve over the models; 0.5 if undefined."""
    above = scores[:, None] - scores[None]  # (T, T, P)
    pairs = inside[:, None].astype(bool) & ~inside[None].astype(bool)
    wins = (pairs * ((above > 0) + 0.5 * (above == 0))).sum(axis=(0, 1))
    total = pairs.sum(axis=(0, 1))
    made: Floats = np.where(total, wins / np.maximum(total, 1), 0.5)
    return made


def most_tpr(mu: float, rate: float) -> float:
    """The largest true-positive rate that mu-GDP allows at a false-positive rate.

    Reference: Dong, Roth, Su. *Gaussian Differential Privacy*, JRSS B 2022, equation 6.
    """
    return float(norm.cdf(norm.ppf(rate) + mu))


def most_tpr_of(epsilon: float, delta: float, rate: float) -> float:
    """The largest true-positive rate that (epsilon, delta)-DP allows at a false-positive rate.

    Reference: Dong, Roth, Su. *Gaussian Differential Privacy*, JRSS B 2022, equation 5.
    """
    steep = math.exp(min(epsilon, 700.0)) * rate + delta
    flat = 1 - math.exp(-epsilon) * (1 - delta - rate)
    return max(0.0, min(1.0, steep, flat))


def excess(scores: Floats, inside: Masks, allowed: Callable[[float], float]) -> float:
    """By how much members are found above what is allowed, at the least; 0 if they are not.

    For few decisions, where a rate is known to within some per cent only. By the inequality of
    Dvoretzky, Kiefer and Wolfowitz, with the constant of Massart (*Annals of Probability* 18,
    1990), both rates lie within ``sqrt(log(4 / a) / 2n)`` of the true ones at all thresholds at
    once, but for a probability of a = 1 %, if decisions are independent.

    Args:
        scores: shape (n,), the larger, the likelier a member.
        inside: shape (n,).
        allowed: from a false-positive rate to the largest true-positive rate.
    """
    members, others = np.sort(scores[inside]), np.sort(scores[~inside.astype(bool)])
    cuts = np.unique(scores)
    hits = 1 - np.searchsorted(members, cuts) / len(members)
    alarms = 1 - np.searchsorted(others, cuts) / len(others)
    low = hits - _off(len(members))
    high = np.minimum(alarms + _off(len(others)), 1.0)
    over = [found - allowed(float(rate)) for found, rate in zip(low, high, strict=True)]
    return max(0.0, *map(float, over))


def _off(count: int) -> float:
    return math.sqrt(math.log(4 / _MISTAKEN) / (2 * count))
