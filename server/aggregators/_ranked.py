"""Opinions in ascending order, label by label, and how much weight stands up to each."""

import numpy as np

from common.arrays import Floats
from server.opinions import distributions
from server.weightings import normalised


def ranked(probs: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sort the K probabilities of every sample and label.

    Args:
        probs: shape (K, N, C), rows are distributions.
        weights: shape (K, N), non-negative.

    Returns:
        The sorted values and the share of all weight that stands up to and with each, both
        of shape (K, N, C), float64; the last share is 1.
    """
    rows = distributions(probs)
    order = rows.argsort(axis=0, kind="stable")
    shares = np.broadcast_to(normalised(weights)[:, :, None], rows.shape)
    reached = np.take_along_axis(shares, order, axis=0).cumsum(axis=0)
    return np.take_along_axis(rows, order, axis=0), reached
