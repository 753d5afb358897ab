"""Exact solvers against POT and HiGHS, over every shape of cost and 2 to 100 labels."""

import numpy as np
import pytest
import torch

from server.transport.cost import LabelCost
from tests.server.transport import oracles
from tests.server.transport.engines import (
    MOST_VERTEX_LABELS,
    generator,
    label_cost_of,
    solve,
    tensors,
    ways,
)
from tests.server.transport.problems import COSTS, between, draw, knot, spokes

FEW, MANY = (1, 2, 3, 5, 7), (9, 20, 50, 100)
every_cost = pytest.mark.parametrize("name", COSTS)


def compare(name: str, size: int, rows: int, seed: int = 0) -> None:
    """All ways in both precisions; the single one is asked about the rows it was given."""
    cost = label_cost_of(name, size, seed)
    q, p = draw(generator(name, size, seed, rows), rows, size)
    truth = oracles.pot(q, p, cost.matrix)
    singles = tensors(q, p, dtype=torch.float32)
    rounded = [s.double().numpy() for s in singles]
    rounded = [r / r.sum(axis=1, keepdims=True) for r in rounded]
    truth_of_singles = oracles.pot(*rounded, cost.matrix)
    # Values of a moved cost are large numbers, which single precision rounds.
    near = 1e-6 * max(cost.range, 0.2 * cost.largest)
    for way in ways(cost):
        double = solve(way, *tensors(q, p), cost)
        assert double.dtype == torch.float64
        assert np.abs(double.numpy() - truth).max() <= 1e-9 * cost.range, way
        single = solve(way, *singles, cost)
        assert single.dtype == torch.float32
        assert np.abs(single.double().numpy() - truth_of_singles).max() <= near, way


@every_cost
@pytest.mark.parametrize("size", FEW)
def test_few_labels_as_pot_says(name: str, size: int) -> None:
    compare(name, size, rows=80)


@pytest.mark.parametrize("name", ["metric", "squared_plane", "negative"])
def test_as_many_labels_as_vertices_are_listed_for(name: str) -> None:
    compare(name, MOST_VERTEX_LABELS, rows=80)


@every_cost
@pytest.mark.parametrize("size", MANY)
def test_many_labels_as_pot_says(name: str, size: int) -> None:
    compare(name, size, rows=20)


@pytest.mark.exhaustive
@every_cost
def test_thousands_of_problems_as_pot_says(name: str) -> None:
    for size in range(2, 101):
        for seed in range(1, 4 if size <= 8 else 2):
            compare(name, size, rows=200 if size <= 20 else 40, seed=seed)


@every_cost
@pytest.mark.parametrize("size", [2, 5, 9])
def test_as_the_dual_programme_says(name: str, size: int) -> None:
    cost = label_cost_of(name, size, seed=7)
    q, p = draw(generator(name, size), 12, size)
    truth = oracles.highs(q, p, cost.matrix)
    for way in ways(cost):
        ours = solve(way, *tensors(q, p), cost).numpy()
        assert np.abs(ours - truth).max() <= 1e-9 * cost.range, way


@pytest.mark.parametrize("size", [2, 5, 7, 9, 40])
def test_closed_forms(size: int) -> None:
    rng = generator("closed", size)
    q, p = draw(rng, 60, size)
    positions, lengths = np.cumsum(rng.uniform(0.1, 3, size)), rng.uniform(0.1, 3, size)
    cases = [
        (between(positions[:, None]), oracles.line(q, p, positions)),
        (1 - np.eye(size), oracles.total_variation(q, p)),
        (spokes(lengths), oracles.star(q, p, lengths)),
    ]
    for matrix, truth in cases:
        cost = LabelCost(matrix)
        for way in ways(cost):
            assert np.abs(solve(way, *tensors(q, p), cost).numpy() - truth).max() < 1e-11, way


@every_cost
@pytest.mark.parametrize("size", [2, 7, 12])
def test_against_a_certain_target_everything_moves_there(name: str, size: int) -> None:
    """And rows of the cost are the student's labels, which only an asymmetric one can tell."""
    cost = label_cost_of(name, size)
    q, _ = draw(generator(name, size), size, size)
    labels = np.arange(size)
    for way in ways(cost):
        to_target = solve(way, *tensors(q, np.eye(size)), cost).numpy()
        assert to_target == pytest.approx((q * cost.matrix[:, labels].T).sum(1), rel=1e-9), way
        from_certain = solve(way, *tensors(np.eye(size), q), cost).numpy()
        assert from_certain == pytest.approx((q * cost.matrix[labels]).sum(1), rel=1e-9), way


def test_a_hand_computed_table() -> None:
    """Half of the mass moves 1, a quarter moves 3: .5 * 1 + .25 * 3."""
    matrix = np.array([[0, 1, 3], [9, 0, 9], [9, 9, 0.0]])
    q, p = np.array([[0.75, 0.25, 0]]), np.array([[0, 0.75, 0.25]])
    cost = LabelCost(matrix)
    for way in ways(cost):
        assert solve(way, *tensors(q, p), cost).tolist() == pytest.approx([1.25], abs=1e-12)
        # Backwards the mass at 1 returns for 9, and that at 2 too.
        assert solve(way, *tensors(p, q), cost).tolist() == pytest.approx([6.75], abs=1e-12)


@pytest.mark.parametrize("gap", [1e-6, 3e-8, 3e-9, 1e-9, 1e-10])
@pytest.mark.parametrize("size", [3, 6])
def test_prices_that_differ_by_almost_nothing_are_told_apart(size: int, gap: float) -> None:
    """Vertices of such a cost lie close together; merging them would cost accuracy."""
    rng = generator("almost", size)
    q, p = draw(rng, 60, size)
    for base in (rng.integers(0, 3, (size, size)), 1 - np.eye(size), knot(rng, size)):
        cost = LabelCost(base + gap * rng.uniform(0, 1, (size, size)))
        truth = oracles.pot(q, p, cost.matrix)
        for way in ways(cost):
            error = np.abs(solve(way, *tensors(q, p), cost).numpy() - truth).max()
            assert error <= 1e-9 * cost.range, way
