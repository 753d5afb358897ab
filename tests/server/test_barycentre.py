"""Barycentres on the labels, against linear programmes, POT and tables by hand."""

import numpy as np
import ot
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from common.labels import LabelGeometry
from server.aggregators.barycentre import Barycentre
from server.aggregators.keep_all import KeepAll
from server.aggregators.mean import Mean
from server.transport.barycentre import debiased, line_positions, median, quantile_mean

Doubles = NDArray[np.float64]

POINTS = np.array([[0.0, 0.0], [1.0, 0.2], [0.1, 1.1], [1.2, 1.0], [0.5, 0.4]])
PLANE = np.linalg.norm(POINTS[:, None] - POINTS[None], axis=2)
DISCRETE = 1 - np.eye(5)


def opinions(
    seed: int, clients: int = 4, samples: int = 5, labels: int = 5
) -> tuple[Doubles, Doubles]:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.3] * labels, size=(clients, samples))
    weights = rng.gamma(1.0, size=(clients, samples))
    weights[:, ::2] = 1  # ties
    return probs, weights / weights.sum(axis=0)


def cost_of(consensus: Doubles, probs: Doubles, weights: Doubles, cost: Doubles) -> Doubles:
    """Weighted sum of transport costs (N,), by POT's simplex."""
    return np.array(
        [
            sum(w * ot.emd2(a, p, cost) for w, p in zip(weights[:, n], probs[:, n], strict=True))
            for n, a in enumerate(consensus)
        ]
    )


def least_cost(probs: Doubles, weights: Doubles, cost: Doubles) -> Doubles:
    """The optimum of the linear programme (N,), by HiGHS: K plans and one distribution."""
    clients, samples, labels = probs.shape
    rows = sparse.kron(sparse.eye(clients), sparse.kron(sparse.eye(labels), np.ones((1, labels))))
    column = sparse.kron(np.ones((1, labels)), sparse.eye(labels - 1, labels))  # the last follows
    columns = sparse.kron(sparse.eye(clients), column)
    shared = sparse.vstack([-sparse.eye(labels - 1, labels)] * clients)
    constraints = sparse.bmat([[rows, None], [columns, shared]], format="csc")
    best = []
    for n in range(samples):
        target = np.concatenate([probs[:, n].ravel(), np.zeros(clients * (labels - 1))])
        price = np.concatenate([np.outer(weights[:, n], cost).ravel(), np.zeros(labels)])
        solved = linprog(price, A_eq=constraints, b_eq=target, method="highs-ds")
        best.append(solved.fun)
    return np.array(best)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 5), labels=st.integers(2, 6))
@pytest.mark.parametrize("p", [1, 2])
def test_on_a_line_it_is_the_optimum(p: int, seed: int, clients: int, labels: int) -> None:
    positions = np.sort(np.random.default_rng(seed).normal(size=labels))
    cost = np.abs(positions[:, None] - positions) ** p
    probs, weights = opinions(seed, clients, labels=labels)
    made = median(probs, weights) if p == 1 else quantile_mean(probs, weights, positions)
    gap = cost_of(made, probs, weights, cost) - least_cost(probs, weights, cost)
    assert np.abs(gap).max() <= 1e-6 * cost.max()


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("cost", [PLANE, DISCRETE], ids=["plane", "discrete"])
def test_elsewhere_it_is_near_the_optimum(p: int, cost: Doubles) -> None:
    probs, weights = opinions(1, samples=20)
    best = least_cost(probs, weights, cost**p)
    for epsilon, most in ((0.02, 0.05), (0.005, 0.01)):
        made = debiased(probs, weights, cost**p, epsilon)
        gap = cost_of(made, probs, weights, cost**p) / best - 1
        assert gap.min() >= -1e-6
        assert gap.mean() <= most


@pytest.mark.parametrize("cost", [PLANE, DISCRETE], ids=["plane", "discrete"])
def test_it_is_pots_debiased_barycentre(cost: Doubles) -> None:
    probs, weights = opinions(2)
    made = debiased(probs, weights, cost, 0.02)
    scaled = cost / cost.max()
    for n, row in enumerate(made):
        theirs = ot.bregman.barycenter_debiased(
            np.ascontiguousarray(probs[:, n].T),
            scaled,
            0.02,
            weights=weights[:, n],
            numItermax=20_000,
            stopThr=1e-12,
        )
        assert np.allclose(row, theirs, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 6))
@pytest.mark.parametrize("kind", ["median", "nearest", "split"])
def test_reversing_the_line_reverses_the_barycentre(kind: str, seed: int, clients: int) -> None:
    probs, weights = opinions(seed, clients)
    positions = np.arange(5.0)  # even gaps and weights: many ties

    def solve(rows: Doubles) -> Doubles:
        if kind == "median":
            return median(rows, weights)
        return quantile_mean(rows, weights, positions, nearest=kind == "nearest")

    assert np.allclose(solve(probs[:, :, ::-1])[:, ::-1], solve(probs), atol=1e-9)


def test_the_quantile_mean_is_that_of_the_whole_line() -> None:
    """Divided between neighbours, its mean position is the mean of the mean positions."""
    probs, weights = opinions(3, samples=50)
    positions = np.array([-2.2, -1.0, 0.0, 1.0, 2.2])
    made = quantile_mean(probs, weights, positions, nearest=False)
    assert np.allclose(made @ positions, np.einsum("kn,knc,c->n", weights, probs, positions))


def test_dividing_atoms_is_not_the_optimum() -> None:
    """Why the docstring says so: 1 and 2 stars, believed .6 and .4, have atoms at 1.4."""
    probs = np.eye(2)[:, None]
    weights = np.array([[0.6], [0.4]])
    positions = np.array([1.0, 2.0])
    assert np.allclose(quantile_mean(probs, weights, positions), [[1, 0]])
    assert np.allclose(quantile_mean(probs, weights, positions, nearest=False), [[0.6, 0.4]])


def test_tables_by_hand() -> None:
    """One star and five stars: the mean hears both, the barycentres do not."""
    grades = LabelGeometry.ordinal(list("abcde"))
    probs, weights = np.eye(5)[[0, 4]][:, None], np.array([[2.0], [1.0]])
    assert np.allclose(Mean().combine(probs, weights, grades).probs, [[[2 / 3, 0, 0, 0, 1 / 3]]])
    for component, row in (
        (Barycentre(), [1, 0, 0, 0, 0]),
        (Barycentre(p=2), [0, 1, 0, 0, 0]),
        (Barycentre(p=2, atoms="split"), [0, 2 / 3, 1 / 3, 0, 0]),
    ):
        assert np.allclose(component.combine(probs, weights, grades).probs, [[row]])
    even = Barycentre().combine(probs, np.ones((2, 1)), grades).probs
    assert np.allclose(even, [[[0.5, 0, 0, 0, 0.5]]])


def test_a_line_is_found_in_any_order() -> None:
    positions = np.array([3.0, -1.0, 0.5, 7.0, 0.0])
    found = line_positions(np.abs(positions[:, None] - positions))
    assert found is not None
    assert np.allclose(np.abs(found[:, None] - found), np.abs(positions[:, None] - positions))
    assert line_positions(PLANE) is None
    assert line_positions(DISCRETE) is None
    assert line_positions(np.zeros((3, 3))) is None
    assert line_positions(1 - np.eye(2)) is not None


@pytest.mark.parametrize(
    "component", [Barycentre(), Barycentre(p=2), Barycentre(p=2, atoms="split")]
)
def test_labels_may_be_named_in_any_order(component: Barycentre) -> None:
    probs, weights = opinions(4)
    grades = LabelGeometry.ordinal(list("abcde"), [-2.2, -1, 0, 1, 2.2])
    order = np.array([2, 0, 4, 1, 3])
    dealt = LabelGeometry(tuple("cadeb"), grades.points[order], grades.cost[np.ix_(order, order)])
    made = component.combine(probs[:, :, order], weights, dealt).probs
    assert np.allclose(
        made, component.combine(probs, weights, grades).probs[:, :, order], atol=1e-7
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    epsilon=st.sampled_from([1 / 300, 0.01, 0.3]),
    sharp=st.sampled_from([1e-3, 0.05, 1.0]),
)
def test_scaling_stays_in_range(seed: int, epsilon: float, sharp: float) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([sharp] * 5, size=(3, 4))
    probs[:, 0] = np.eye(5)[rng.integers(0, 5, size=3)]
    weights = rng.gamma(0.1, size=(3, 4)) + 1e-12
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        made = debiased(probs, weights / weights.sum(axis=0), PLANE**2, epsilon)
    assert np.allclose(made.sum(axis=1), 1)


@pytest.mark.timeout(120)  # 1.1 s on the machine it was written on
def test_two_thousand_samples_of_fifty_clients_come_to_an_end() -> None:
    probs, weights = opinions(5, clients=50, samples=2000, labels=7)
    points = np.random.default_rng(0).normal(size=(7, 2))
    plane = np.linalg.norm(points[:, None] - points[None], axis=2)
    median(probs, weights)
    quantile_mean(probs, weights, np.arange(7.0))
    debiased(probs, weights, plane, 0.05)


def test_the_other_aggregators_do_not_look_at_the_geometry() -> None:
    probs, weights = opinions(6)
    line = LabelGeometry.ordinal(list("abcde"))
    plane = LabelGeometry(tuple("abcde"), POINTS, PLANE)
    for component in (Mean(), KeepAll()):
        one, other = (component.combine(probs, weights, g) for g in (line, plane))
        assert one.probs.tobytes() == other.probs.tobytes()
        assert one.weights.tobytes() == other.weights.tobytes()
