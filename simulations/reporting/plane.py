"""Labels as points of the plane, as near to their costs as a picture can be."""

import numpy as np

from common.arrays import Floats
from common.scaling import classical_scaling


def in_plane(cost: Floats) -> tuple[Floats, float]:
    r"""Points whose distances come near the costs, and how near they come.

    Labels on a line are put on it, labels that are all equally far apart on a circle; others
    by classical scaling, of which two axes are kept.
    The stress is :math:`\sqrt{\sum_{a<b} (d_{ab} - M_{ab})^2 / \sum_{a<b} d_{ab}^2}` with the
    distances d of the points: 0 is exact, from 0.2 on the picture misleads.

    Args:
        cost: shape (C, C).

    Returns:
        Shape (C, 2), in units of the cost; the stress.

    Reference: Kruskal. *Multidimensional scaling by optimizing goodness of fit to a nonmetric
    hypothesis*, Psychometrika 29, 1964, section 2, without the monotone regression.
    """
    points, line = np.zeros((len(cost), 2)), on_line(cost)
    if line is not None:
        points[:, 0] = line
        return points, 0.0
    axes = _circle(cost) if is_even(cost) else classical_scaling(cost)[:, :2]
    points[:, : axes.shape[1]] = axes
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    return points, float(np.sqrt(((distances - cost) ** 2).sum() / (distances**2).sum()))


def on_line(cost: Floats) -> Floats | None:
    """Coordinates (C,), from 0, whose distances are exactly ``cost``; None if there are none.

    The label farthest from the first lies at an end of the line; the first label is put into
    the left half where a mirror image would do as well.
    """
    places = cost[int(cost[0].argmax())]
    apart = np.abs(places[:, None] - places[None, :])
    if not np.allclose(apart, cost, rtol=0, atol=1e-9 * cost.max()):
        return None
    made: Floats = places.max() - places if 2 * places[0] > places.max() else places
    return made


def is_even(cost: Floats) -> bool:
    """Whether all pairs of labels are equally far apart; no two axes would then stand out."""
    apart = cost[~np.eye(len(cost), dtype=bool)]
    return bool(np.allclose(apart, apart[0], rtol=1e-9))


def _circle(cost: Floats) -> Floats:
    """Shape (C, 2): a regular polygon whose mean distance is the cost, which is least stress."""
    turns = np.pi * (0.5 + 2 * np.arange(len(cost)) / len(cost))
    points = np.stack([-np.cos(turns), np.sin(turns)], axis=1)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    made: Floats = points * (cost.sum() / distances.sum())
    return made
