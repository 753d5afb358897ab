"""What the aggregators of one target per sample share."""

import numpy as np

from common.arrays import Floats
from server.aggregators import Targets
from server.opinions import distributions
from server.weightings import normalised


def mixture(probs: Floats, weights: Floats) -> Floats:
    """Shape (N, C), float64: the weighted mean of opinions (K, N, C), weights (K, N)."""
    mixed: Floats = np.einsum("kn,knc->nc", normalised(weights), distributions(probs))
    return mixed


def one_target(rows: Floats) -> Targets:
    """T = 1: rows (N, C), not negative, scaled to sum 1; uniform where a row is all zero."""
    total = rows.sum(axis=1, keepdims=True)
    said = total > 0
    scaled = np.where(said, rows / np.where(said, total, 1.0), 1.0 / rows.shape[1])
    ones = np.ones((1, len(rows)), dtype=np.float32)
    return Targets(scaled[None].astype(np.float32), ones)


def floored_logs(rows: Floats, shares: Floats, floor: float) -> tuple[Floats, Floats]:
    """Logarithms of opinions (K, N, C) that have no zeros to veto with.

    What lies below ``floor`` is read as the floor, or as the most that a believed teacher gives to
    that label if that is less.

    Returns:
        The logarithms (K, N, C), 0 where all believed teachers hold a label for impossible; and
        (N, C), whether they do not.
    """
    most = np.where(shares[:, :, None] > 0, rows, 0.0).max(axis=0)
    raised = np.maximum(rows, np.minimum(floor, most))
    logs: Floats = np.log(raised, out=np.zeros_like(raised), where=raised > 0)
    return logs, most > 0


def powered(rows: Floats, power: float) -> Floats:
    """Rows (N, C), not all zero, raised to a power, each by a factor of its own: for one_target."""
    # Against the largest, so that no power is lost below the smallest double.
    raised: Floats = (rows / rows.max(axis=1, keepdims=True)) ** power
    return raised
