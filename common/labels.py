"""Labels and how far apart they are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from common.arrays import Floats
from common.scaling import classical_scaling
from common.trees import Edge, path_lengths

_ROUNDING = 1e-9
"""Of the largest cost: how much of an asymmetry or a broken triangle is rounding."""


@dataclass(frozen=True, eq=False)
class LabelGeometry:
    """The label set together with its coordinates and ground cost.

    A transport loss moves probability mass from one label to another; the cost says
    what a unit of that movement is worth. Divergences that ignore distance (KL) receive
    a geometry too, and drop it.

    Constructors raise ValueError with one line that starts with the argument it is about.

    Attributes:
        names: the C label names, in column order of every prediction.
        points: shape (C, D), float64; where each label lies. Semantic Distance is
            measured here.
        cost: shape (C, C), float64; symmetric, non-negative, zero on the diagonal.
    """

    names: tuple[str, ...]
    points: Floats
    cost: Floats

    def __post_init__(self) -> None:
        size = len(self.names)
        if size < 2 or len(set(self.names)) != size:
            raise ValueError(f"labels must be at least two different names, got {self.names}")
        if self.points.ndim != 2 or len(self.points) != size:
            raise ValueError(f"points have shape {self.points.shape}, expected ({size}, D)")
        if self.cost.shape != (size, size):
            raise ValueError(f"cost has shape {self.cost.shape}, expected {(size, size)}")
        if not (np.all(np.isfinite(self.cost)) and np.all(np.isfinite(self.points))):
            raise ValueError("points and cost must be finite")
        if not np.allclose(self.cost, self.cost.T) or np.any(np.diag(self.cost) != 0):
            raise ValueError("cost must be symmetric with a zero diagonal")
        if np.any(self.cost < 0):
            raise ValueError("cost must not be negative")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def ordinal(cls, names: Sequence[str], positions: Sequence[float] | None = None) -> Self:
        """Labels on a line, at increasing ``positions`` (default 0, 1, ..., C-1)."""
        size = len(names)
        line = np.array(range(size) if positions is None else positions, dtype=np.float64)
        rising = bool(np.all(np.isfinite(line))) and bool(np.all(np.diff(line) > 0))
        if line.shape != (size,) or not rising:
            got = len(line) if len(line) != size else line.tolist()
            raise ValueError(f"positions: {size} increasing numbers are needed, got {got}")
        return cls(tuple(names), line[:, None], np.abs(line[:, None] - line[None, :]))

    @classmethod
    def discrete(cls, names: Sequence[str]) -> Self:
        """Every pair of labels equally far apart; transport becomes total variation."""
        size = len(names)
        return cls(tuple(names), np.eye(size), 1.0 - np.eye(size))

    @classmethod
    def at_points(cls, names: Sequence[str], points: ArrayLike, p: float = 1.0) -> Self:
        """Labels in space: the cost is their Euclidean distance to the power ``p``.

        Up to p = 1 the cost is a metric. Above, a detour over a label in between is cheaper
        than the direct way, so the triangle inequality fails; transport stays defined, and
        at p = 2 it is the squared 2-Wasserstein distance. On a line with p = 1 the cost is
        that of :meth:`ordinal`, in whatever order the labels lie.

        Args:
            names: C names.
            points: shape (C,) or (C, D).
            p: more than 0.
        """
        placed = _numbers("points", points, len(names))
        placed = placed[:, None] if placed.ndim == 1 else placed
        if placed.ndim != 2 or placed.shape[1] < 1:
            raise ValueError("points: every label needs the same number of coordinates")
        if not 0 < p < math.inf:
            raise ValueError(f"p: a number above 0 is needed, got {p}")
        with np.errstate(over="ignore"):
            cost = np.stack([np.linalg.norm(placed - point, axis=1) for point in placed]) ** p
        if not np.all(np.isfinite(cost)):
            raise ValueError(f"points: too far apart, distances to the power {p:g} overflow")
        return cls(tuple(names), placed, cost)

    @classmethod
    def from_matrix(cls, names: Sequence[str], cost: ArrayLike) -> Self:
        """Labels with a cost for every pair, metric or not.

        Semantic Distance needs coordinates, so points are made of the costs by
        :func:`common.scaling.classical_scaling`. Their distances are the costs if those are
        Euclidean, and otherwise an approximation: measure such labels by transport too.

        Args:
            names: C names.
            cost: shape (C, C); finite, not negative, symmetric, zero on the diagonal.
        """
        table = _numbers("cost", cost, len(names))
        if table.shape != (len(names), len(names)):
            raise ValueError(f"cost: {len(names)} rows of {len(names)} numbers are needed")
        for wrong, why in (
            (table < 0, "is negative"),
            (np.diag(np.diag(table) != 0), "must be 0"),
            (np.abs(table - table.T) > _ROUNDING * table.max(), "differs from its mirror image"),
        ):
            if np.any(wrong):
                i, j = np.argwhere(wrong)[0]
                raise ValueError(f"cost: {names[i]!r} to {names[j]!r} is {table[i, j]:g}, {why}")
        even = table / 2 + table.T / 2
        return cls(tuple(names), classical_scaling(even), even)

    @classmethod
    def tree(cls, names: Sequence[str], edges: Iterable[Edge]) -> Self:
        """Labels that are nodes of a weighted tree; the cost is the length of the path.

        Any node may carry a label, not only a leaf. Trees are rarely Euclidean: points are
        an approximation, as in :meth:`from_matrix`.

        Args:
            names: C names, each a node.
            edges: (parent or node, node, length above 0); nodes that are no label are inner.
        """
        return cls.from_matrix(names, path_lengths(names, edges))

    def permuted(self, order: Sequence[int]) -> "LabelGeometry":
        """The same names dealt other places: label i goes where label ``order[i]`` was."""
        size = len(self)
        if sorted(order) != list(range(size)):
            raise ValueError(f"order: a permutation of 0 to {size - 1} is needed, got {[*order]}")
        chosen = list(order)
        return LabelGeometry(self.names, self.points[chosen], self.cost[np.ix_(chosen, chosen)])

    @property
    def is_line(self) -> bool:
        """Whether the cost is the distance between increasing points of a line."""
        if self.points.shape[1] != 1 or not np.all(np.diff(self.points[:, 0]) > 0):
            return False
        return bool(np.allclose(self.cost, np.abs(self.points - self.points.T)))

    @property
    def is_metric(self) -> bool:
        """Whether different labels lie apart and no detour is shorter than the direct way."""
        if np.any(self.cost[~np.eye(len(self), dtype=bool)] <= 0):
            return False
        allowed = self.cost - _ROUNDING * self.cost.max()
        return all(bool(np.all(allowed <= row[:, None] + row)) for row in self.cost)

    @property
    def mean_cost(self) -> float:
        """Mean over the C (C-1) pairs of different labels."""
        return float(self.cost.sum()) / (len(self) * (len(self) - 1))


def _numbers(field: str, given: ArrayLike, size: int) -> Floats:
    """An array of finite numbers with one entry or row per label."""
    try:
        made = np.array(given, dtype=np.float64)
    except ValueError:  # rows of unlike lengths
        raise ValueError(f"{field}: all {size} rows need the same number of numbers") from None
    if made.ndim == 0 or len(made) != size:
        got = "one number" if made.ndim == 0 else len(made)
        raise ValueError(f"{field}: one entry for each of {size} labels is needed, got {got}")
    if not np.all(np.isfinite(made)):
        row = int(np.argwhere(~np.isfinite(made))[0][0])
        raise ValueError(f"{field}: entry {row} is not finite")
    return made
