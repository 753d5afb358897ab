"""The dual polytope's vertices: how many, feasible, tight, and enough for every problem."""

from math import comb

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from server.transport.cost import LabelCost
from server.transport.vertices import MOST_LABELS, dual_vertices, vertex_table
from tests.server.transport.engines import generator
from tests.server.transport.problems import COSTS, METRICS, between

sizes = pytest.mark.parametrize("size", range(1, 9))


@sizes
@pytest.mark.parametrize("name", ["symmetric", "asymmetric", "dear_diagonal", "negative"])
def test_a_generic_cost_has_as_many_vertices_as_theory_says(name: str, size: int) -> None:
    f, g = dual_vertices(COSTS[name](generator("count", name, size), size))
    assert f.shape == g.shape == (comb(2 * size - 2, size - 1), size)


@sizes
def test_a_generic_metric_too(size: int) -> None:
    """Gordon and Petrov 2017, theorem 2, of the Lipschitz polytope."""
    points = generator("points", size).normal(size=(size, size))
    assert len(dual_vertices(between(points))[0]) == comb(2 * size - 2, size - 1)


@sizes
def test_a_line_has_one_vertex_for_every_choice_of_slopes(size: int) -> None:
    gaps = generator("gaps", size).uniform(0.1, 2, size)
    assert len(dual_vertices(between(np.cumsum(gaps)[:, None]))[0]) == 2 ** (size - 1)


@sizes
def test_the_discrete_metric_has_one_for_every_proper_subset(size: int) -> None:
    count = 1 if size == 1 else 2**size - 2
    assert len(dual_vertices(1 - np.eye(size))[0]) == count


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("size", [2, 4, 7])
def test_vertices_are_feasible_and_held_in_place_by_what_is_tight(name: str, size: int) -> None:
    """Tight constraints that join all 2 C labels leave a point no way to move but along (1, -1)."""
    matrix = COSTS[name](generator("tight", name, size), size)
    f, g = dual_vertices(matrix)
    slack = matrix - f[:, :, None] - g[:, None, :]
    scale = max(float(np.ptp(matrix)), float(np.abs(matrix).max()))
    assert slack.min() >= -1e-12 * scale
    for tight in slack <= 1e-8 * scale:
        graph = np.zeros((2 * size, 2 * size))
        graph[:size, size:] = tight
        assert connected_components(graph, directed=False)[0] == 1


@pytest.mark.parametrize("name", COSTS)
def test_every_vertex_is_listed_once(name: str) -> None:
    f, g = dual_vertices(COSTS[name](generator("once", name), 6))
    points = np.concatenate([f - f[:, :1], g + f[:, :1]], axis=1)
    apart = np.abs(points[:, None] - points[None]).max(axis=2) + np.eye(len(points))
    assert apart.min() > 0


def test_nine_labels_are_too_many_and_the_message_says_what_to_do() -> None:
    assert MOST_LABELS == 8
    cost = LabelCost(COSTS["metric"](generator("nine"), 9))
    with pytest.raises(ValueError, match=r"at most 8 labels"):
        cost.solver("vertex")
    with pytest.raises(ValueError, match="8"):
        dual_vertices(cost.matrix)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("size", [3, 5, 7])
def test_of_a_metric_half_the_vertices_are_the_others_mirrored(name: str, size: int) -> None:
    matrix = COSTS[name](generator("halves", name, size), size)
    half = vertex_table(matrix, True)
    f, _ = dual_vertices(matrix)
    f = f - f.mean(axis=1, keepdims=True)
    both = np.concatenate([half, -half])
    assert len(both) == len(f)
    assert np.abs(f[:, None] - both[None]).max(axis=2).min(axis=1).max() < 1e-10 * np.ptp(matrix)


@pytest.mark.parametrize("offset", [7.5e-8, 7.5e-9, 7.5e-10, 7.5e-11, 0.0])
def test_halving_loses_none_whose_first_potential_is_almost_zero(offset: float) -> None:
    """A label in the middle of two others, up to a difference that rounding may miss."""
    for step in range(-30, 31):
        positions = np.array([[0.5 + offset + step * 1.2e-16], [0.0], [1.0]])
        matrix = between(positions)
        assert 2 * len(vertex_table(matrix, True)) == len(dual_vertices(matrix)[0]) == 4
