"""Distributions and shapes at the edge: certainty, nothing, one label, no sample, odd memory."""

import numpy as np
import pytest
import torch

from server.transport.cost import LabelCost
from server.transport.solve import transport_cost
from tests.server.transport import oracles
from tests.server.transport.engines import (
    generator,
    label_cost_of,
    solve,
    tensors,
    value_and_gradient,
    ways,
)
from tests.server.transport.problems import COSTS, METRICS, TREES, draw

every_cost = pytest.mark.parametrize("name", COSTS)
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@every_cost
@pytest.mark.parametrize("size", [2, 7, 10])
@both
def test_from_label_to_label_costs_what_the_table_says(
    name: str, size: int, dtype: torch.dtype
) -> None:
    cost = label_cost_of(name, size)
    q, p = torch.eye(size, dtype=dtype).repeat_interleave(size, 0), torch.eye(size, dtype=dtype)
    for way in ways(cost):
        table, slope = value_and_gradient(way, q, p.repeat(size, 1), cost)
        near = 4 * torch.finfo(dtype).eps * cost.largest * size
        assert np.abs(table.view(size, size).numpy() - cost.matrix).max() <= near, way
        assert torch.all(torch.isfinite(slope))


@pytest.mark.parametrize("price", [0.0, 3.0, -2.0])
def test_one_label_has_nowhere_to_go(price: float) -> None:
    cost = LabelCost(np.array([[price]]))
    ones = torch.ones(4, 1)
    for way in ["auto", *ways(cost)]:
        value, slope = value_and_gradient(way, ones, ones.expand(2, 4, 1), cost)
        assert value.tolist() == [[price] * 4] * 2, way
        assert slope.abs().max() == 0, way


@pytest.mark.parametrize("price", [0.0, 7.0, -7.0])
@pytest.mark.parametrize("size", [2, 5, 9])
def test_where_every_move_costs_the_same_the_value_is_that(price: float, size: int) -> None:
    cost = LabelCost(np.full((size, size), price))
    q, p = tensors(*draw(generator("same", size), 20, size))
    for way in ["auto", *ways(cost)]:
        value, slope = value_and_gradient(way, q, p, cost)
        assert (value - price).abs().max() < 1e-12, way
        assert slope.abs().max() < 1e-7, way


def test_the_matrix_is_a_copy() -> None:
    matrix = 1 - np.eye(4)
    cost = LabelCost(matrix)
    matrix[:] = 7
    assert cost.matrix.max() == 1


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("size", [3, 7, 12, 50])
def test_small_differences_are_not_lost_in_single_precision(name: str, size: int) -> None:
    """A dead zone around equality may not be wider than the promised accuracy."""
    cost, rng = label_cost_of(name, size), generator("small", name, size)
    p = np.full((60, size), 1 / size)
    nudge = rng.normal(size=p.shape)
    nudge -= nudge.mean(axis=1, keepdims=True)
    q = p + nudge / np.abs(nudge).sum(axis=1, keepdims=True) * 10 ** rng.uniform(-7, -4, (60, 1))
    singles = tensors(q, p, dtype=torch.float32)
    rounded = [s.double().numpy() for s in singles]
    rounded = [r / r.sum(axis=1, keepdims=True) for r in rounded]
    truth = oracles.pot(*rounded, cost.matrix)
    for way in ways(cost):
        ours = solve(way, *singles, cost).double().numpy()
        assert np.abs(ours - truth).max() <= 1e-6 * cost.range, way


@every_cost
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    cost = label_cost_of(name, 6)
    q, p = tensors(*draw(generator("half", name), 30, 6), dtype=dtype)
    truth = oracles.pot(*(x.double().numpy() / x.double().numpy().sum(1, keepdims=True)
                          for x in (q, p)), cost.matrix)  # fmt: skip
    for way in ways(cost):
        ours = solve(way, q, p, cost)
        assert ours.dtype == torch.float32
        # Rows of halves miss 1 by some units of their rounding, and so does the value.
        assert np.abs(ours.numpy() - truth).max() <= 8 * torch.finfo(dtype).eps * cost.largest


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("size", [5, 9])
def test_rows_that_miss_one_a_little_are_read_as_distributions(name: str, size: int) -> None:
    """All solvers agree about them: otherwise ``solver`` would change the question."""
    cost = label_cost_of(name, size)
    q, p = tensors(*draw(generator("miss"), 30, size))
    answers = [solve(way, q * (1 + 5e-4), p * (1 - 5e-4), cost) for way in ways(cost)]
    exact = solve("simplex", q, p, cost)
    for way, answer in zip(ways(cost), answers, strict=True):
        assert (answer - exact).abs().max() <= 1.1e-3 * max(cost.range, cost.largest), way


@pytest.mark.parametrize("name", TREES)
def test_hundreds_of_labels_of_a_tree(name: str) -> None:
    cost = label_cost_of(name, 300)
    q, p = draw(generator("hundreds"), 10, 300)
    assert cost.kind == "tree"
    ours = transport_cost(*tensors(q, p), cost).numpy()
    assert ours == pytest.approx(oracles.pot(q, p, cost.matrix), abs=1e-9 * cost.range)
