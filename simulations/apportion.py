"""Whole numbers in given proportions."""

import numpy as np

from common.arrays import Floats, Ints


def apportion(weights: Floats | Ints, total: int) -> Ints:
    """Divide ``total`` into whole shares that sum to it exactly.

    The method of the largest remainder (Hamilton, 1792): every share is rounded down, and
    what is missing goes to the largest fractional parts, ties to the earlier share.

    Args:
        weights: shape (P,); not negative, not all zero.
        total: what is divided, at least 0.

    Returns:
        Shape (P,), int64; each less than one away from ``total * weights / sum(weights)``.
    """
    proportions = np.asarray(weights, dtype=np.float64)
    shares = total * (proportions / proportions.sum())
    whole: Ints = np.floor(shares).astype(np.int64)
    missing = total - int(whole.sum())
    first = np.argsort(whole - shares, kind="stable")[:missing]
    whole[first] += 1
    return whole
