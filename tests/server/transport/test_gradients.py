"""Gradients: the dual potential where it is unique, a supporting hyperplane where it is not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from server.transport.cost import LabelCost
from tests.server.transport import oracles
from tests.server.transport.engines import (
    generator,
    label_cost_of,
    solve,
    tensors,
    value_and_gradient,
    ways,
)
from tests.server.transport.problems import COSTS, METRICS, TREES, draw, soft

every_cost = pytest.mark.parametrize("name", COSTS)


@every_cost
@pytest.mark.parametrize("size", [2, 5, 7, 12, 30])
def test_gradient_is_the_dual_potential_where_there_is_only_one(name: str, size: int) -> None:
    cost = label_cost_of(name, size)
    q, p = soft(generator(name, size), 40, size)
    _, plans = oracles.simplex(q, p, cost.matrix)
    known = {
        row: f for row in range(40) if (f := oracles.dual(plans[row], cost.matrix)) is not None
    }
    assert len(known) >= 10
    rows, truth = list(known), np.array(list(known.values()))
    for way in ways(cost):
        for dtype, near in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
            _, ours = value_and_gradient(way, *tensors(q, p, dtype=dtype), cost)
            assert ours.dtype == dtype
            assert np.abs(ours.double().numpy()[rows] - truth).max() <= near * cost.range, way


@every_cost
@pytest.mark.parametrize("size", [3, 7, 10])
def test_gradient_is_the_slope_of_pot_away_from_kinks(name: str, size: int) -> None:
    """Finite differences of the oracle, on the simplex: what leaves one label enters another."""
    cost, step = label_cost_of(name, size), 1e-7
    q, p = soft(generator("slope", name, size), 6, size)
    _, plans = oracles.simplex(q, p, cost.matrix)
    rows = [row for row in range(6) if oracles.dual(plans[row], cost.matrix) is not None]
    move = np.eye(size)[1] - np.eye(size)[0]
    up, down = (oracles.pot(q + s * move, p, cost.matrix) for s in (step, -step))
    truth = ((up - down) / (2 * step))[rows]
    for way in ways(cost):
        _, gradient = value_and_gradient(way, *tensors(q, p), cost)
        assert np.abs(gradient.numpy()[rows] @ move - truth).max() < 1e-5 * cost.range, way


@every_cost
@pytest.mark.parametrize("size", [4, 9])
def test_autograd_agrees_with_itself_through_softmax(name: str, size: int) -> None:
    cost = label_cost_of(name, size)
    q, p = soft(generator("softmax", name, size), 2, size)
    targets = torch.stack(tensors(p, p[::-1].copy()))
    logits = torch.tensor(np.log(q), requires_grad=True)
    for way in ways(cost):

        def value(z: Tensor, way: str = way) -> Tensor:
            return solve(way, z.softmax(dim=1), targets, cost)

        assert torch.autograd.gradcheck(value, (logits,), eps=1e-7, atol=1e-5 * cost.range), way


@every_cost
@settings(max_examples=5)
@given(size=st.sampled_from([1, 3, 5, 7, 10]), seed=st.integers(0, 2**16))
def test_gradient_supports_the_value_everywhere_kinks_included(
    name: str, size: int, seed: int
) -> None:
    r"""W is convex, so :math:`W(q') \ge W(q) + \langle f, q' - q \rangle` for every q'."""
    cost, rng = label_cost_of(name, size), generator("support", seed)
    q, p = draw(rng, 10, size)
    elsewhere = np.concatenate([draw(rng, 5, size)[0], np.eye(size)])
    targets = np.repeat(p, len(elsewhere), axis=0)
    there = oracles.pot(np.tile(elsewhere, (10, 1)), targets, cost.matrix).reshape(10, -1)
    for way in ways(cost):
        value, f = value_and_gradient(way, *tensors(q, p), cost)
        rise = (torch.tensor(elsewhere) - torch.tensor(q)[:, None]) @ f[:, :, None]
        bound = (value[:, None] + rise.squeeze(2)).numpy()
        assert np.all(there >= bound - 1e-9 * cost.range), way


@every_cost
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 6, 10])
def test_gradient_rows_sum_to_zero(name: str, size: int, dtype: torch.dtype) -> None:
    cost = label_cost_of(name, size)
    q, p = draw(generator("centre", name, size), 30, size)
    for way in ways(cost):
        _, f = value_and_gradient(way, *tensors(q, p, dtype=dtype), cost)
        assert f.shape == (30, size)
        assert f.sum(dim=1).abs().max() <= 8 * size * torch.finfo(dtype).eps * cost.largest, way


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("size", [2, 5, 7, 12, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_student_that_equals_its_target_is_left_alone(
    name: str, size: int, dtype: torch.dtype
) -> None:
    """Also after one of them was renormalised, or went through a logarithm and back."""
    cost, rng = label_cost_of(name, size), generator("equal", size)
    (p,) = tensors(np.concatenate(draw(rng, 30, size)), dtype=dtype)
    p = p / p.sum(dim=1, keepdim=True)
    logits = torch.tensor(rng.normal(size=(60, size)), dtype=dtype)
    peaked = (3 * logits).softmax(dim=1)
    pairs = [
        (p, p),
        (p / p.sum(dim=1, keepdim=True), p),
        (peaked.log().log_softmax(dim=1).exp(), peaked),
        ((3 * logits + 5).log_softmax(dim=1).exp(), peaked),
        (peaked.double().div(peaked.double().sum(dim=1, keepdim=True)).to(dtype), peaked),
    ]
    for way in ways(cost):
        for q, target in pairs:
            value, gradient = value_and_gradient(way, q, target, cost)
            assert value.abs().max() <= 8 * torch.finfo(dtype).eps * cost.range, way
            assert gradient.abs().max() == 0, way


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sharpness", [1, 3, 8])
def test_small_masses_return_from_the_logarithm_with_more_rounding(
    name: str, dtype: torch.dtype, sharpness: float
) -> None:
    """log p = -20 is rounded by 1e-6 in single precision: that is no reason to move either."""
    cost, rng = label_cost_of(name, 100), generator("tails")
    logits = sharpness * torch.tensor(rng.normal(size=(300, 100)), dtype=dtype)
    p = logits.softmax(dim=1)
    for way in ("tree", "paths"):
        for again in (p.log(), logits + 5, p.double().log().to(dtype)):
            _, gradient = value_and_gradient(way, again.log_softmax(dim=1).exp(), p, cost)
            assert gradient.abs().max() == 0, way


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("size", [2, 7, 12])
def test_a_student_that_can_be_no_surer_of_a_certain_target_is_left_alone(
    name: str, size: int
) -> None:
    """Its logarithms are finite, so it never is quite certain; its logits must not drift."""
    cost = label_cost_of(name, size)
    logits = (60 * torch.eye(size)).requires_grad_()
    for way in ways(cost):
        value = solve(way, logits.log_softmax(dim=1).exp(), torch.eye(size), cost)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert gradient.abs().max() <= 1e-6 * cost.range, way


def test_the_slope_of_a_line_by_hand() -> None:
    """Mass at 0 that lacks at 2 crosses both gaps, of 1 and 2: potentials 1.5, 0.5, -1.5 less
    their mean."""
    positions = np.array([[0.0], [1.0], [3.0]])
    cost = LabelCost(np.abs(positions - positions.T))
    q, p = tensors(np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.3, 0.5]]))
    for way in ways(cost):
        value, f = value_and_gradient(way, q, p, cost)
        assert value.item() == pytest.approx(1.2)
        # The middle label's price is free between its neighbours' only if it gives nothing.
        assert (f[0, 0] - f[0, 2]).item() == pytest.approx(3)
        assert f.sum().item() == pytest.approx(0, abs=1e-12)


def test_gradients_of_several_targets_add_up() -> None:
    cost = label_cost_of("metric", 6)
    q, p = soft(generator("add"), 5, 6)
    one, two = tensors(q, p)
    targets = torch.stack([two, two.flip(0), two.roll(1, 0)])
    for way in ways(cost):
        _, together = value_and_gradient(way, one, targets, cost)
        parts = [value_and_gradient(way, one, target, cost)[1] for target in targets]
        assert torch.allclose(together, torch.stack(parts).sum(dim=0), atol=1e-12)


def test_weights_on_values_weigh_gradients() -> None:
    cost = label_cost_of("plane", 6)
    q, p = tensors(*soft(generator("weights"), 5, 6))
    weights = torch.linspace(-1, 2, 5, dtype=torch.float64)
    for way in ways(cost):
        _, plain = value_and_gradient(way, q, p, cost)
        student = q.clone().requires_grad_()
        (solve(way, student, p, cost) * weights).sum().backward()
        assert student.grad is not None
        assert torch.allclose(student.grad, weights[:, None] * plain, atol=1e-12)
