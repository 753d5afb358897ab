"""The numbers behind the report's pictures, as plain lists that JSON can hold.

The observer computes them where labels are known and writes ``pictures.json``; the report
draws from that file alone. What it shows of transport comes from
:mod:`simulations.diagnostics`. Axes: K clients, N test samples, C labels. Counts are samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.metrics import calibration_bins


def reliability(probs: Floats, labels: Ints, bins: int = 15) -> dict[str, list[Any]]:
    """Mean confidence, accuracy and count of each bin; the means of an empty bin are None.

    Source: Guo et al., ICML 2017, section 2. ``probs`` is (N, C), ``labels`` (N,).
    """
    confidence, hits, count = calibration_bins(probs, labels, bins)
    return {
        "confidence": _or_none(confidence),
        "accuracy": _or_none(hits),
        "count": count.tolist(),
    }


def confusion(probs: Floats, labels: Ints, size: int) -> list[list[int]]:
    """Counts, shape (C, C) for C = ``size``: rows are gold labels, columns the top label."""
    cells = np.asarray(labels) * size + np.asarray(probs).argmax(axis=1)
    counts: list[list[int]] = np.bincount(cells, minlength=size * size).reshape(size, size).tolist()
    return counts


def expected_position(
    probs: Floats, labels: Ints, geometry: LabelGeometry
) -> list[float | None] | None:
    """Where on the line the student puts each gold label on average; None off the line.

    Shape (C,), in label coordinates: the mean over its samples of ``sum_a p_a u_a``, the
    position Semantic Distance compares (KNOT, METHODS a); None for a label without samples.
    """
    if not geometry.is_line:
        return None
    mean = np.asarray(probs, dtype=np.float64) @ geometry.points[:, 0]
    rows = [mean[np.asarray(labels) == c] for c in range(len(geometry))]
    return [float(row.mean()) if len(row) else None for row in rows]


def holdings(labels_by_client: Sequence[Ints], size: int) -> list[list[int]]:
    """Counts, shape (K, C) for C = ``size``: how many samples of each label a client holds."""
    rows = [np.asarray(labels, dtype=np.int64) for labels in labels_by_client]
    return [np.bincount(row, minlength=size).tolist() for row in rows]


def _or_none(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
