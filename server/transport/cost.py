"""A ground cost as the solvers see it: checked, classified, with tables built once."""

from functools import cached_property, lru_cache
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from common.arrays import Floats
from common.labels import LabelGeometry
from server.transport.tree import Splits, find_splits
from server.transport.vertices import MOST_LABELS, vertex_table

Solver: TypeAlias = Literal["tree", "vertex", "lp", "sinkhorn"]
SOLVERS: tuple[Solver, ...] = ("tree", "vertex", "lp", "sinkhorn")

_ROUNDING = 1e-11  # relative to the largest cost: below every promise about exactness


class LabelCost:
    """A C x C cost and what its exact solvers need.

    Any finite cost is served, negative and asymmetric ones too: moving mass from i to j costs
    ``matrix[i, j]``, with the student's labels in the rows.

    Attributes:
        matrix: shape (C, C), float64.
        range: largest minus smallest entry, or 1 if all are equal; errors are relative to it.
        largest: largest absolute entry.
        is_symmetric: whether moving back costs the same.
        is_metric: symmetric, non-negative, zero on the diagonal, and no detour is shorter.
    """

    def __init__(self, matrix: Floats) -> None:
        """Check and classify.

        Args:
            matrix: shape (C, C), C >= 1.

        Raises:
            ValueError: not a square matrix of finite numbers.
        """
        matrix = np.array(matrix, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            raise ValueError(f"a cost is a square matrix, got shape {matrix.shape}")
        if not np.all(np.isfinite(matrix)):
            raise ValueError("a cost has finite entries only, got NaN or infinity")
        self.matrix: Floats = matrix
        with np.errstate(over="ignore"):
            self.range = float(np.ptp(matrix)) or 1.0
        if not np.isfinite(self.range):
            raise ValueError("the largest and the smallest cost lie too far apart for float64")
        self.largest = float(np.abs(matrix).max())
        self._tolerance = _ROUNDING * self.largest
        self.is_symmetric = bool(np.all(np.abs(matrix - matrix.T) <= self._tolerance))
        self.is_metric = self.is_symmetric and _is_metric(matrix, self._tolerance)
        self._tensors: dict[tuple[str, torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def num_labels(self) -> int:
        """C."""
        return len(self.matrix)

    @cached_property
    def splits(self) -> Splits | None:
        """The tree whose path lengths these costs are; None if there is none."""
        return find_splits(self.matrix, self._tolerance) if self.is_metric else None

    @property
    def kind(self) -> Literal["tree", "metric", "general"]:
        """The narrowest class the cost belongs to."""
        if self.splits is not None:
            return "tree"
        return "metric" if self.is_metric else "general"

    def solver(self, name: str = "auto") -> Solver:
        """The solver to use; ``auto`` is always exact and depends on the cost alone.

        Args:
            name: "auto", or one of :data:`SOLVERS`.

        Raises:
            ValueError: an unknown name, or one that cannot serve this cost.
        """
        if name == "auto":
            if self.splits is not None:
                return "tree"
            return "vertex" if self.num_labels <= MOST_LABELS else "lp"
        if name == "tree" and self.splits is None:
            raise ValueError("solver 'tree' needs a tree metric; write 'auto'")
        if name == "vertex" and self.num_labels > MOST_LABELS:
            raise ValueError(f"solver 'vertex' serves at most {MOST_LABELS} labels; write 'auto'")
        if name not in SOLVERS:
            raise ValueError(f"solver must be 'auto' or one of {SOLVERS}, got {name!r}")
        return name

    def explain(self) -> str:
        """Which solver ``auto`` takes, and why, in one sentence."""
        size = self.num_labels
        chosen = self.solver()
        if chosen == "tree":
            assert self.splits is not None
            edges = int((self.splits.lengths > 0).sum())
            return f"tree: the cost of {size} labels is path length in a tree of {edges} edges"
        if chosen == "vertex":
            (table, *_) = self.tensors("vertex", torch.float64, torch.device("cpu"))
            return (
                f"vertex: no tree, but with {size} labels the dual has few vertices "
                f"({len(table)} kept), and the best of them is the answer"
            )
        return f"lp: no tree, and {size} labels are too many to list vertices: linear programming"

    def tensors(self, what: str, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        """A solver's tables on a device, made once: ``tree``, ``vertex`` or ``matrix``."""
        key = (what, dtype, device)
        if key not in self._tensors:
            made = tuple(torch.as_tensor(t, dtype=dtype, device=device) for t in self._made(what))
            self._tensors[key] = made
        return self._tensors[key]

    def _made(self, what: str) -> tuple[Floats, ...]:
        if what == "tree":
            assert self.splits is not None
            return self.splits.sides.T.copy(), self.splits.lengths, self.splits.basis()
        if what == "vertex":
            return (self._vertices,)
        return (self.matrix,)

    @cached_property
    def _vertices(self) -> Floats:
        return vertex_table(self.matrix, self.is_metric)


@lru_cache(maxsize=32)
def label_cost(geometry: LabelGeometry) -> LabelCost:
    """The cost of a geometry; the same object for the same geometry, so tables are built once."""
    return LabelCost(geometry.cost)


def _is_metric(matrix: Floats, tolerance: float) -> bool:
    if np.any(np.abs(np.diag(matrix)) > tolerance) or np.any(matrix < -tolerance):
        return False
    return all(
        np.all(matrix <= via[:, None] + via[None, :] + tolerance)  # the detour over one label
        for via in matrix
    )
