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


def apportion_at_least(weights: Floats | Ints, total: int, least: int) -> Ints:
    """Like :func:`apportion`, but no share is below ``least``.

    Shares that would be too small are raised to ``least``, and the others divide what is left
    in their own proportions, until none is too small: at most P times.

    Args:
        weights: shape (P,); not negative, not all zero.
        total: at least ``P * least``.
        least: at least 0.

    Returns:
        Shape (P,), int64; sums to ``total``.
    """
    proportions = np.asarray(weights, dtype=np.float64) / np.sum(weights, dtype=np.float64)
    whole = np.full(len(proportions), least, dtype=np.int64)
    free = np.ones(len(proportions), dtype=bool)
    while free.any():
        left = total - least * int((~free).sum())
        short = free & (left * (proportions / proportions[free].sum()) < least)
        if not short.any():
            whole[free] = apportion(proportions[free], left)
            break
        free &= ~short
    return whole
