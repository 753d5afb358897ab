"""Pseudo-subclasses: every label split in S, as codes, as probabilities and as a geometry.

Columns are label by label: subclass j of label c is column ``c * S + j``. What crosses is split
twice: first the codes of the labels are made as if there were no subclasses, then each label's
code is shared out among its own. So the codes of a label's subclasses sum to the label's code,
exactly, and whoever sums them has what would have crossed without subclasses.

Source of the idea: Loo, Iliopoulos, Hu, Vee. *Linear Projections of Teacher Embeddings for
Few-Class Distillation* (LELP), 2024. https://arxiv.org/abs/2409.20449
"""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.quantise import apportioned


def split_codes(codes: Ints, shares: Floats) -> Ints:
    """Codes of shape (..., C * S), uint16, that sum label by label to ``codes``.

    Args:
        codes: shape (..., C), of the labels.
        shares: shape (..., C, S), non-negative; of each label's subclasses, up to scale. Where
            all are zero, they count as equal.
    """
    exact = np.asarray(shares, dtype=np.float64)
    total = exact.sum(axis=-1, keepdims=True)
    known = total > 0
    even = np.where(known, exact / np.where(known, total, 1.0), 1 / exact.shape[-1])
    made = apportioned(even, codes[..., None].astype(np.int64))
    return made.reshape(*codes.shape[:-1], -1)


def merged_codes(codes: Ints, count: int) -> Ints:
    """The labels' codes (..., C), uint16, of codes (..., C * S) with S = ``count``."""
    parts = codes.reshape(*codes.shape[:-1], -1, count)
    made: Ints = parts.sum(axis=-1, dtype=np.uint16)
    return made


def merged(probs: Floats, count: int) -> Floats:
    """The labels' probabilities (..., C), float32, of (..., C * S) with S = ``count``."""
    parts = probs.reshape(*probs.shape[:-1], -1, count)
    made: Floats = parts.sum(axis=-1, dtype=np.float64).astype(np.float32)
    return made


@dataclass(frozen=True, eq=False)
class RefinedGeometry(LabelGeometry):
    """Labels split in subclasses.

    Attributes:
        count: S.
    """

    count: int = 1


def refined(geometry: LabelGeometry, count: int, within: float = 0.0) -> RefinedGeometry:
    """Every label with ``count`` leaves around it, each half of ``within`` away.

    The cost between two subclasses is that of their labels, and ``within`` more if they are
    not the same. A tree stays a tree and a metric a metric (a pseudo-metric at ``within`` = 0).
    Transport then costs the labels' transport plus ``within`` times the total variation distance
    of the subclasses: at 0 it does not see subclasses at all.

    Args:
        geometry: of the C labels.
        count: S, at least 1.
        within: at least 0, in units of the cost.
    """
    size = len(geometry) * count
    cost = np.kron(geometry.cost, np.ones((count, count)))
    return RefinedGeometry(
        names=tuple(f"{name}/{j}" for name in geometry.names for j in range(count)),
        points=np.repeat(geometry.points, count, axis=0),
        cost=cost + within * (1 - np.eye(size)),
        count=count,
    )
