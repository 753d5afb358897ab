"""How far each client keeps from the middle of all opinions, and weights that punish it."""

import numpy as np

from common.arrays import Floats
from server.aggregators.geometric_median import middle
from server.opinions import distributions
from server.weightings import normalised


def outlier_scores(probs: Floats, weights: Floats) -> Floats:
    r"""Each client's mean distance from the middle, :math:`\frac1N \sum_x \| p_k(x) - g(x) \|_2`.

    Args:
        probs: shape (K, N, C), rows are distributions.
        weights: shape (K, N), under which g(x) is the geometric median.

    Returns:
        Shape (K,), float64; at most the square root of 2.
    """
    gaps = distributions(probs) - middle(probs, weights).probs[0]
    scores: Floats = np.sqrt((gaps * gaps).sum(axis=2)).mean(axis=1)
    return scores


def guarded(weights: Floats, penalties: Floats) -> Floats:
    """Weights (K, N) times exp(-penalty) of each client, scaled so that no column dies out.

    Args:
        weights: shape (K, N), non-negative.
        penalties: shape (K,), non-negative.

    Returns:
        Shape (K, N), float64; columns need not sum to 1.
    """
    shares = normalised(weights)
    logs = np.where(shares > 0, -penalties[:, None], -np.inf)
    # Against the best that is believed on a sample.
    made: Floats = shares * np.exp(logs - logs.max(axis=0))
    return made
