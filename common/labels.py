"""Labels and how far apart they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from common.arrays import Floats


@dataclass(frozen=True, eq=False)
class LabelGeometry:
    """The label set together with its coordinates and ground cost.

    A transport loss moves probability mass from one label to another; the cost says
    what a unit of that movement is worth. Divergences that ignore distance (KL) receive
    a geometry too, and drop it.

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
        line = np.array(range(len(names)) if positions is None else positions, dtype=np.float64)
        if line.shape != (len(names),) or not np.all(np.diff(line) > 0):
            raise ValueError(f"positions must be {len(names)} increasing numbers, got {positions}")
        return cls(tuple(names), line[:, None], np.abs(line[:, None] - line[None, :]))

    @classmethod
    def discrete(cls, names: Sequence[str]) -> Self:
        """Every pair of labels equally far apart; transport becomes total variation."""
        size = len(names)
        return cls(tuple(names), np.eye(size), 1.0 - np.eye(size))

    @property
    def is_line(self) -> bool:
        """Whether the cost is the distance between increasing points of a line."""
        if self.points.shape[1] != 1 or not np.all(np.diff(self.points[:, 0]) > 0):
            return False
        return bool(np.allclose(self.cost, np.abs(self.points - self.points.T)))
