"""Laws of transport that need no oracle, on drawn costs and distributions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from server.transport.cost import LabelCost
from server.transport.solve import transport_plan
from tests.server.transport import oracles
from tests.server.transport.engines import generator, label_cost_of, solve, tensors, ways
from tests.server.transport.problems import COSTS, METRICS, draw, normal

Array = NDArray[np.float64]
few = settings(max_examples=30)
sizes = st.sampled_from([1, 2, 3, 5, 7, 10])
seeds = st.integers(0, 3)  # of costs, whose tables are kept
names = st.sampled_from(sorted(COSTS))
metrics = st.sampled_from(METRICS)


def distributions(count: int, size: int) -> st.SearchStrategy[Array]:
    """Shape (count, 4, size); zeros, ties and denormal-looking numbers are likely."""
    cells = st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.25, 1.0])
    return npst.arrays(np.float64, (count, 4, size), elements=cells).map(normal)


def value(way: str, q: Array, p: Array, cost: LabelCost) -> Array:
    return np.asarray(solve(way, *tensors(q, p), cost).numpy())


@few
@given(data=st.data(), name=metrics, size=sizes, seed=seeds)
def test_under_a_metric_transport_is_a_metric(
    data: st.DataObject, name: str, size: int, seed: int
) -> None:
    cost = label_cost_of(name, size, seed)
    assert cost.is_metric
    a, b, c = data.draw(distributions(3, size))
    near = 1e-11 * cost.range
    for way in ways(cost):
        there, back = value(way, a, b, cost), value(way, b, a, cost)
        assert np.all(there >= -near)
        assert np.abs(there - back).max() <= near
        assert np.abs(value(way, a, a, cost)).max() <= near
        detour = there + value(way, b, c, cost)
        assert np.all(value(way, a, c, cost) <= detour + near)


@few
@given(data=st.data(), name=metrics, size=st.sampled_from([2, 3, 5, 7, 10]), seed=seeds)
def test_total_variation_times_the_least_and_largest_distance_are_bounds(
    data: st.DataObject, name: str, size: int, seed: int
) -> None:
    cost = label_cost_of(name, size, seed)
    a, b = data.draw(distributions(2, size))
    moved = 0.5 * np.abs(a - b).sum(axis=1)
    apart = cost.matrix[~np.eye(size, dtype=bool)]
    for way in ways(cost):
        ours = value(way, a, b, cost)
        assert np.all(ours >= moved * apart.min() - 1e-11 * cost.range)
        assert np.all(ours <= moved * apart.max() + 1e-11 * cost.range)


@few
@given(data=st.data(), name=names, size=sizes, seed=seeds)
def test_the_value_lies_between_the_cheapest_and_the_product_plan(
    data: st.DataObject, name: str, size: int, seed: int
) -> None:
    cost = label_cost_of(name, size, seed)
    a, b = data.draw(distributions(2, size))
    near = 1e-11 * max(cost.range, cost.largest)
    cheapest = np.maximum(a @ cost.matrix.min(axis=1), b @ cost.matrix.min(axis=0))
    for way in ways(cost):
        ours = value(way, a, b, cost)
        assert np.all(ours >= cheapest - near)
        assert np.all(ours <= np.einsum("ni,ij,nj->n", a, cost.matrix, b) + near)


@few
@given(data=st.data(), name=names, size=sizes, seed=seeds, t=st.floats(0, 1))
def test_convex_in_both_at_once(
    data: st.DataObject, name: str, size: int, seed: int, t: float
) -> None:
    """In particular a mixture of targets never costs more than the targets one by one."""
    cost = label_cost_of(name, size, seed)
    a, b, c, d = data.draw(distributions(4, size))
    for way in ways(cost):
        mixed = value(way, t * a + (1 - t) * c, t * b + (1 - t) * d, cost)
        apart = t * value(way, a, b, cost) + (1 - t) * value(way, c, d, cost)
        assert np.all(mixed <= apart + 1e-11 * max(cost.range, cost.largest))


@few
@given(data=st.data(), name=names, size=sizes, seed=seeds)
def test_names_of_labels_do_not_matter(
    data: st.DataObject, name: str, size: int, seed: int
) -> None:
    cost = label_cost_of(name, size, seed)
    a, b = data.draw(distributions(2, size))
    order = np.random.default_rng(seed).permutation(size)
    renamed = LabelCost(cost.matrix[np.ix_(order, order)])
    assert renamed.kind == cost.kind
    for way in ways(cost):
        if way == "vertex" and size > 5:  # listing vertices anew is dear
            continue
        ours = value(way, a[:, order], b[:, order], renamed)
        assert np.abs(ours - value(way, a, b, cost)).max() <= 1e-10 * cost.range


@few
@given(data=st.data(), name=names, size=sizes, seed=seeds)
def test_backwards_at_the_transposed_cost_is_the_same(
    data: st.DataObject, name: str, size: int, seed: int
) -> None:
    cost = label_cost_of(name, size, seed)
    a, b = data.draw(distributions(2, size))
    backwards = LabelCost(cost.matrix.T)
    for way in ways(cost):
        if way == "vertex" and size > 5:
            continue
        ours = value(way, b, a, backwards)
        assert np.abs(ours - value(way, a, b, cost)).max() <= 1e-10 * cost.range


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("shift", [-50.0, -0.5, 0.25, 1e3])
def test_what_every_move_costs_more_the_whole_costs_more(
    name: str, size: int, shift: float
) -> None:
    plain = label_cost_of(name, size)
    moved = LabelCost(plain.matrix + shift)
    q, p = draw(generator("shift", name, size), 20, size)
    for way in ways(moved):
        ours = value(way, q, p, moved)
        assert np.abs(ours - oracles.pot(q, p, plain.matrix) - shift).max() <= 1e-9 * moved.largest


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("size", [2, 5, 9, 30])
@pytest.mark.parametrize("unit", [1e12, 1e-12, 1e-100, 1e100])
def test_the_unit_of_the_cost_is_the_unit_of_the_value_and_of_its_slope(
    name: str, size: int, unit: float
) -> None:
    plain = label_cost_of(name, size)
    scaled = LabelCost(plain.matrix * unit)
    assert scaled.kind == plain.kind
    arrays = draw(generator("unit", name, size), 20, size)
    q, p = tensors(*arrays)
    truth = oracles.pot(*arrays, plain.matrix)
    for way in ways(scaled):
        student = q.clone().requires_grad_()
        ours = solve(way, student, p, scaled)
        (slope,) = torch.autograd.grad(ours.sum(), student)
        assert np.abs(ours.detach().numpy() / unit - truth).max() <= 1e-9 * plain.range, way
        assert torch.all(torch.isfinite(slope))
        assert slope.abs().max() <= 2 * unit * max(plain.range, plain.largest), way


@few
@given(data=st.data(), name=names, size=sizes, seed=seeds, unit=st.sampled_from([1, 1e12, 1e-12]))
def test_a_plan_moves_what_it_should_and_costs_the_value(
    data: st.DataObject, name: str, size: int, seed: int, unit: float
) -> None:
    cost = label_cost_of(name, size, seed)
    scaled = LabelCost(unit * cost.matrix)
    a, b = data.draw(distributions(2, size))
    values = oracles.pot(a, b, cost.matrix)
    for row in range(len(a)):
        plan = transport_plan(a[row], b[row], scaled)
        assert plan.shape == (size, size)
        assert plan.dtype == np.float64
        assert plan.min() >= 0
        assert np.abs(plan.sum(axis=1) - a[row]).max() < 1e-12
        assert np.abs(plan.sum(axis=0) - b[row]).max() < 1e-12
        assert (plan * cost.matrix).sum() == pytest.approx(values[row], abs=1e-10 * cost.range)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("size", [9, 30, 100])
@pytest.mark.parametrize("unit", [1, 1e-12])
def test_plans_of_many_labels(name: str, size: int, unit: float) -> None:
    cost = label_cost_of(name, size)
    q, p = draw(generator("plan", name), 10, size)
    scaled = LabelCost(unit * cost.matrix)
    values = oracles.pot(q, p, cost.matrix)
    for row in range(10):
        plan = transport_plan(q[row], p[row], scaled)
        assert np.abs(plan.sum(axis=1) - q[row]).max() < 1e-12
        assert np.abs(plan.sum(axis=0) - p[row]).max() < 1e-12
        assert (plan * cost.matrix).sum() == pytest.approx(values[row], abs=1e-10 * cost.range)
