"""Labels in three kinds of geometry, and random predictions of them."""

import numpy as np

from common.labels import LabelGeometry
from common.seeds import stream

STARS = LabelGeometry.ordinal("abcde", (-2.2, -1, 0, 1, 2.2))
FLAT = LabelGeometry.discrete("abcde")
WHEEL_POINTS = np.array([(-0.4, 0.8), (0.9, 0.2), (0.0, 0.0), (-0.9, -0.4), (0.4, 0.9)])
WHEEL = LabelGeometry(
    tuple("abcde"),
    WHEEL_POINTS,
    np.linalg.norm(WHEEL_POINTS[:, None] - WHEEL_POINTS[None], axis=-1),
)
GEOMETRIES = {"line": STARS, "flat": FLAT, "wheel": WHEEL}


def sample(seed, n=60, c=5, classes=None):
    """Predictions (n, c), float32, and labels (n,) that have nothing to do with them."""
    rng = stream(seed, "metrics")
    probs = rng.dirichlet(np.full(c, 0.6), size=n).astype(np.float32)
    return probs, rng.choice(classes or c, size=n)


def exact(probs):
    """The same in float64, with rows that sum to 1."""
    rows = np.asarray(probs, dtype=np.float64)
    return rows / rows.sum(axis=1, keepdims=True)


def drawn(seed, n, c=5, spread=1.5):
    """Predictions (n, c) in float64 and labels (n,) drawn from them: well calibrated."""
    rng = stream(seed, "drawn")
    logits = rng.normal(size=(n, c)) * spread
    probs = exact(np.exp(logits))
    labels = (probs.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)
    return probs, labels
