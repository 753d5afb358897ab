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


def powered(rows: Floats, power: float) -> Floats:
    """Rows (N, C), not all zero, raised to a power, each by a factor of its own: for one_target."""
    # Against the largest, so that no power is lost below the smallest double.
    raised: Floats = (rows / rows.max(axis=1, keepdims=True)) ** power
    return raised
