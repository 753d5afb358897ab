"""Coordinates from distances: classical multidimensional scaling."""

import numpy as np

from common.arrays import Floats

_NEGLIGIBLE = 1e-12
"""Eigenvalues below this part of the largest are rounding; they would be empty axes."""


def classical_scaling(cost: Floats) -> Floats:
    r"""Points whose Euclidean distances come near ``cost``; exactly, if any points do.

    The eigenvectors of :math:`-\tfrac12 J M^{(2)} J` with positive eigenvalues, times their
    square roots. J centres, :math:`M^{(2)}` holds squared costs. Negative eigenvalues are
    what no Euclidean space can show, and are dropped: the costs of a star with three equal
    arms have some, so its points have other distances.

    Axes come in falling order of what they explain. A sign is free, and chosen so that on
    every axis the first label off zero is negative: a line stays in label order. Among equal
    eigenvalues (all labels equally far apart) the axes are a choice of the linear algebra
    library; distances between the points do not depend on it.

    Args:
        cost: shape (C, C), symmetric with a zero diagonal.

    Returns:
        Shape (C, D) with D in 1 .. C-1, in units of the cost.

    Reference: Torgerson. *Multidimensional scaling: I. Theory and method*, Psychometrika 17,
    1952, 401-419.
    """
    largest = float(cost.max())
    if largest == 0:
        return np.zeros((len(cost), 1))
    squared = (cost / largest) ** 2
    rows = squared.mean(axis=0)
    inner = -0.5 * (squared - rows - rows[:, None] + rows.mean())
    values, vectors = np.linalg.eigh(inner)
    kept = np.flatnonzero(values > _NEGLIGIBLE * values[-1])[::-1]
    axes: Floats = largest * vectors[:, kept] * np.sqrt(values[kept])
    return axes * _signs(axes)


def _signs(axes: Floats) -> Floats:
    """For every column +1 or -1, so that its first entry off zero becomes negative."""
    off_zero = np.abs(axes) > 1e-6 * np.abs(axes).max(axis=0)
    first = axes[off_zero.argmax(axis=0), np.arange(axes.shape[1])]
    return np.where(first > 0, -1.0, 1.0)
