"""Many problems at once are the same problems, whatever their shape and memory."""

import itertools

import numpy as np
import pytest
import torch

from tests.server.transport.engines import (
    generator,
    label_cost_of,
    solve,
    tensors,
    value_and_gradient,
    ways,
)
from tests.server.transport.problems import COSTS, draw

every_cost = pytest.mark.parametrize("name", COSTS)
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@every_cost
@pytest.mark.parametrize("size", [2, 7, 12, 65])
@both
def test_all_at_once_is_one_by_one(name: str, size: int, dtype: torch.dtype) -> None:
    cost = label_cost_of(name, size)
    q, p = draw(generator("batch", name, size), 12, size)
    student, targets = tensors(q, np.stack([p, p[::-1], q]), dtype=dtype)
    near = (1e-12 if dtype == torch.float64 else 1e-6) * max(cost.range, cost.largest)
    for way in ways(cost):
        together, slope = value_and_gradient(way, student, targets, cost)
        assert together.shape == (3, 12)
        for t, b in itertools.product(range(3), range(0, 12, 3)):
            alone = solve(way, student[b : b + 1], targets[t, b : b + 1], cost)
            assert (alone - together[t, b]).abs().max() <= near, way
        again, same = value_and_gradient(way, student, targets, cost)
        assert torch.equal(again, together)
        assert torch.equal(same, slope)


@pytest.mark.parametrize("name", ["metric", "negative", "tree"])
@pytest.mark.parametrize("size", [3, 7])
@both
def test_thousands_of_rows_are_solved_in_parts_and_put_together_again(
    name: str, size: int, dtype: torch.dtype
) -> None:
    cost = label_cost_of(name, size)
    q, p = tensors(*draw(generator("thousands", name), 9001, size), dtype=dtype)
    targets = torch.stack([p, p.roll(1, 0), p.roll(2, 0), p.roll(3, 0)])
    truth, _ = value_and_gradient("paths", q.double(), targets.double(), cost)
    near = (1e-11 if dtype == torch.float64 else 1e-6) * max(cost.range, cost.largest)
    for way in set(ways(cost)) - {"simplex"}:
        ours = solve(way, q, targets, cost)
        assert (ours.double() - truth).abs().max() <= near, way
        # The slope of a row is that row's: with the best g for it, it makes the value.
        f = value_and_gradient(way, q, p, cost)[1].double()
        g = (torch.tensor(cost.matrix) - f[:, :, None]).amin(dim=1)
        dual = (f * q).sum(dim=1) + (g * p).sum(dim=1)
        assert (dual - truth[0]).abs().max() <= 10 * near, way


@every_cost
@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3), (1, 2, 2)])
def test_any_axes_may_lead(name: str, lead: tuple[int, ...]) -> None:
    cost = label_cost_of(name, 5)
    q, p = draw(generator("lead"), 4 * int(np.prod(lead)), 5)
    student, targets = tensors(q[:4], p.reshape(*lead, 4, 5))
    for way in ways(cost):
        value = solve(way, student, targets, cost)
        assert value.shape == (*lead, 4)
        flat = value.reshape(-1, 4), targets.reshape(-1, 4, 5)
        for ours, target in zip(*flat, strict=True):
            assert torch.allclose(ours, solve(way, student, target, cost), atol=1e-12)


@pytest.mark.parametrize("name", ["ordinal", "metric", "negative"])
@pytest.mark.parametrize("size", [5, 12])
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4), (0, 0), (2, 0, 4), (2, 3, 0)])
def test_no_samples_or_no_targets_give_no_values(
    name: str, size: int, shape: tuple[int, ...]
) -> None:
    cost = label_cost_of(name, size)
    student = torch.full((shape[-1], size), 1 / size)
    targets = torch.full((*shape, size), 1 / size)
    for way in ways(cost):
        value, slope = value_and_gradient(way, student, targets, cost)
        assert value.shape == shape, way
        assert slope.shape == student.shape
        assert slope.abs().sum() == 0


@every_cost
@pytest.mark.parametrize("size", [7, 30])
def test_odd_memory_and_untouched_inputs(name: str, size: int) -> None:
    """Transposed, strided, expanded and read-only-looking inputs; nothing is written to them."""
    cost = label_cost_of(name, size)
    q, p = tensors(*draw(generator("odd", name), 8, size))
    wide = torch.stack([q, q], dim=2).flatten(1)[:, ::2]
    turned = p.T.contiguous().T
    many = p[None].expand(3, -1, -1)
    one = p[:1].expand(8, -1)
    before = [x.clone() for x in (q, p)]
    for way in ways(cost):
        plain = solve(way, q, p, cost)
        assert torch.allclose(solve(way, wide, turned, cost), plain, atol=1e-12)
        assert torch.allclose(solve(way, q, many, cost), plain.expand(3, -1), atol=1e-12)
        assert torch.allclose(solve(way, q, one, cost), solve(way, q, one.clone(), cost))
        value_and_gradient(way, q, many, cost)
        assert torch.equal(q, before[0])
        assert torch.equal(p, before[1])
