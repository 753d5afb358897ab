"""Which costs are trees, and that a tree's answer is the linear programme's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.labels import LabelGeometry
from server.transport.cost import LabelCost, label_cost
from tests.server.transport import oracles
from tests.server.transport.engines import generator, solve, tensors
from tests.server.transport.problems import COSTS, TREES, between, draw, shortest, spokes, tree

trees = pytest.mark.parametrize("name", TREES)


@settings(max_examples=150)
@given(size=st.integers(1, 30), seed=st.integers(0, 2**20), unit=st.sampled_from([1, 1e6, 1e-6]))
def test_random_trees_with_hidden_nodes_are_found(size: int, seed: int, unit: float) -> None:
    rng = generator("hidden", seed)
    cost = LabelCost(unit * tree(rng, size))
    assert cost.kind == "tree"
    assert cost.is_metric
    assert cost.solver() == "tree"
    q, p = draw(rng, 10, size)
    truth = oracles.pot(q, p, cost.matrix)
    assert np.abs(solve("tree", *tensors(q, p), cost).numpy() - truth).max() <= 1e-11 * cost.range


@settings(max_examples=80)
@given(size=st.integers(1, 25), seed=st.integers(0, 2**20))
def test_splits_rebuild_the_cost_and_are_no_more_than_a_tree_has(size: int, seed: int) -> None:
    cost = LabelCost(tree(generator("splits", seed), size))
    assert cost.splits is not None
    sides, lengths = cost.splits.sides, cost.splits.lengths
    assert sides.shape == (size, len(lengths))
    assert np.all((sides == 0) | (sides == 1))
    assert np.all(lengths >= 0)
    assert len(lengths) <= max(1, 2 * size - 2)
    crossed = np.abs(sides[:, None] - sides[None]) @ lengths
    assert np.abs(crossed - cost.matrix).max() <= 1e-10 * cost.range


@trees
@pytest.mark.parametrize("size", [5, 12, 40])
@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-8])
def test_what_is_almost_a_tree_is_none(name: str, size: int, error: float) -> None:
    """Served all the same, and as exactly, by another solver."""
    rng = generator("almost", name, size)
    noise = np.triu(rng.uniform(0.5, 1, (size, size)), 1)
    plain = COSTS[name](rng, size)
    cost = LabelCost(plain + error * np.abs(plain).max() * (noise + noise.T))
    assert cost.kind != "tree"
    assert cost.splits is None
    assert cost.solver() != "tree"
    with pytest.raises(ValueError, match="tree"):
        cost.solver("tree")
    q, p = draw(rng, 10, size)
    ours = solve(cost.solver(), *tensors(q, p), cost).numpy()
    assert np.abs(ours - oracles.pot(q, p, cost.matrix)).max() <= 1e-9 * cost.range


@trees
@pytest.mark.parametrize("size", [3, 12, 100])
def test_rounding_of_the_cost_does_not_hide_a_tree(name: str, size: int) -> None:
    """Costs are computed in floating point, so path lengths are off by some units of it."""
    rng = generator("rounding", name, size)
    matrix = COSTS[name](rng, size)
    noise = np.triu(rng.uniform(-1, 1, (size, size)), 1)
    cost = LabelCost(matrix * (1 + 1e-15 * (noise + noise.T)))
    assert cost.kind == "tree"
    q, p = draw(rng, 10, size)
    truth = oracles.pot(q, p, matrix)
    assert np.abs(solve("tree", *tensors(q, p), cost).numpy() - truth).max() <= 1e-11 * cost.range


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        (np.zeros((1, 1)), "tree"),
        (np.zeros((4, 4)), "tree"),
        (np.array([[0, 2.0], [2, 0]]), "tree"),
        (spokes(np.array([0.0, 1, 2])), "tree"),  # the hub is a label
        (spokes(np.array([0.0, 0, 2])), "tree"),  # two labels at one place
        (between(np.array([[0.0], [0], [1], [1], [5]])), "tree"),
        (shortest(np.array([[0.0, 1, 9, 1], [1, 0, 1, 9], [9, 1, 0, 1], [1, 9, 1, 0]])), "metric"),
        (between(np.array([[0, 0], [1, 0], [0, 1.0], [1, 1]])), "metric"),
        (between(np.array([[0.0], [1], [2]]), power=2), "general"),  # detours are cheaper
        (np.array([[0, 1.0], [2, 0]]), "general"),
        (np.array([[1, 2.0], [2, 1]]), "general"),
        (np.array([[0, -1.0], [-1, 0]]), "general"),
        (np.full((3, 3), 2.0), "general"),
    ],
)
def test_costs_are_called_what_they_are(matrix: np.ndarray, kind: str) -> None:
    cost = LabelCost(matrix)
    assert cost.kind == kind
    assert cost.is_metric == (kind != "general")
    assert (cost.splits is not None) == (kind == "tree")


def test_every_three_labels_form_a_tree_and_not_every_four() -> None:
    """Three distances that obey the triangle inequality fit a star with one hidden hub."""
    rng = generator("three")
    for _ in range(50):
        points = rng.normal(size=(4, 3))
        assert LabelCost(between(points[:3])).kind == "tree"
        assert LabelCost(between(points)).kind == "metric"


def test_label_geometries_are_classified_as_their_names_say_and_only_once() -> None:
    names = list("abcdef")
    line = LabelGeometry.ordinal(names, [-3, -1, 0, 0.5, 7, 7.25])
    assert label_cost(line).kind == "tree"
    assert label_cost(line) is label_cost(line)
    assert label_cost(LabelGeometry.discrete(names)).kind == "tree"
    square = np.random.default_rng(0).normal(size=(6, 2))
    assert label_cost(LabelGeometry(tuple(names), square, between(square))).kind == "metric"
    assert label_cost(LabelGeometry(tuple(names), square, between(square, 2))).kind == "general"


@trees
def test_a_zero_length_edge_changes_nothing(name: str) -> None:
    """Two labels in one place share what they hold."""
    rng = generator("zero", name)
    matrix = COSTS[name](rng, 6)
    doubled = np.pad(matrix, (0, 1), mode="edge")
    doubled[6, 6] = 0
    cost, plain = LabelCost(doubled), LabelCost(matrix)
    assert cost.kind == "tree"
    q, p = draw(rng, 20, 7)
    joined = [np.concatenate([x[:, :5], x[:, 5:].sum(1, keepdims=True)], axis=1) for x in (q, p)]
    ours, theirs = solve("tree", *tensors(q, p), cost), solve("tree", *tensors(*joined), plain)
    assert torch.allclose(ours, theirs, atol=1e-12 * cost.range)
