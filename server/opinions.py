"""Opinions as they are reckoned with: doubles that sum to 1."""

import numpy as np

from common.arrays import Floats


def distributions(probs: Floats) -> Floats:
    """Opinions (K, N, C) as float64, every row scaled to sum 1 beyond float32's rounding."""
    rows = np.asarray(probs, dtype=np.float64)
    scaled: Floats = rows / rows.sum(axis=2, keepdims=True)
    return scaled
