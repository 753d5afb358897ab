"""Certainty about one label, text by text."""

import numpy as np

from common.arrays import Floats, Ints


def certain(labels: Ints, num_labels: int, attackers: int) -> Floats:
    """One-hot rows (F, N, C) for one label per text, (N,), the same from all F attackers."""
    rows: Floats = np.eye(num_labels)[labels]
    return np.repeat(rows[None], attackers, axis=0)
