"""Ranked probability score: on a line against scipy, elsewhere against sums over pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance

from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses.brier import Brier
from server.losses.crps import Crps
from tests.server.losses.pairs import FLAT, GRADES, assert_minimal, pairs, teachers

PLACES = np.random.default_rng(3).normal(size=(5, 2))
PLANE = LabelGeometry(tuple("abcde"), PLACES, cdist(PLACES, PLACES))


def with_cost(cost: np.ndarray) -> LabelGeometry:
    return LabelGeometry(GRADES.names, GRADES.points, cost)


def test_on_a_line_it_is_half_of_scipy_s_squared_energy_distance() -> None:
    q, p = pairs()
    x = GRADES.points[:, 0]
    rows = zip(q.numpy(), p.numpy(), strict=True)
    expected = [energy_distance(x, x, a, b) ** 2 / 2 for a, b in rows]
    assert Crps()(q.log(), p, GRADES).numpy() == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(
    gaps=st.lists(st.floats(0.01, 10), min_size=1, max_size=12),
    seed=st.integers(0, 1000),
)
def test_on_any_line_it_is_the_squared_distance_of_cumulative_distributions(
    gaps: list[float], seed: int
) -> None:
    positions = np.cumsum([0.0, *gaps])
    line = LabelGeometry.ordinal([str(i) for i in range(len(positions))], list(positions))
    q, p = np.random.default_rng(seed).dirichlet([0.7] * len(positions), size=(2, 6))
    q = 0.99 * q + 0.01 / len(positions)
    surplus = np.cumsum(q - p, axis=1)[:, :-1]
    expected = (surplus**2 * np.array(gaps)).sum(axis=1)
    ours = Crps()(torch.from_numpy(q).log(), torch.from_numpy(p), line)
    assert ours.numpy() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_elsewhere_it_is_cross_minus_within_distances() -> None:
    q, p = (x.numpy() for x in pairs())
    cost = PLANE.cost

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sum(a[:, i] * b[:, j] * cost[i, j] for i in range(5) for j in range(5))

    expected = between(q, p) - between(q, q) / 2 - between(p, p) / 2
    ours = Crps()(torch.from_numpy(q).log(), torch.from_numpy(p), PLANE)
    assert ours.numpy() == pytest.approx(expected)


def test_labels_equally_far_apart_make_it_half_the_brier_score() -> None:
    q, p = pairs()
    assert torch.allclose(Crps()(q.log(), p, FLAT), Brier()(q.log(), p, FLAT) / 2)


@pytest.mark.parametrize("geometry", [GRADES, FLAT, PLANE], ids=["grades", "flat", "plane"])
def test_between_certainties_it_is_the_cost(geometry: LabelGeometry) -> None:
    log_q = (1e3 * torch.eye(5)).log_softmax(dim=1).repeat(5, 1)
    values = Crps()(log_q, torch.eye(5).repeat_interleave(5, dim=0), geometry).reshape(5, 5)
    assert torch.allclose(values, torch.from_numpy(geometry.cost).float(), atol=1e-5)


@pytest.mark.parametrize("geometry", [GRADES, PLANE], ids=["grades", "plane"])
def test_several_teachers_are_averaged_wherever_labels_lie(geometry: LabelGeometry) -> None:
    p, weights = teachers()
    assert_minimal(Crps(), (weights[..., None] * p).sum(dim=0), p, weights, geometry)


def test_costs_of_negative_type_are_served_and_no_others() -> None:
    for power in (0.5, 1.0, 2.0):
        Crps().check(with_cost(GRADES.cost**power))
    for power in (2.1, 3.0):
        with pytest.raises(ConfigError, match=r"write server.loss = \{ kind = 'sinkhorn' \}"):
            Crps().check(with_cost(GRADES.cost**power))


def test_a_cost_that_is_refused_could_have_been_negative() -> None:
    cost = GRADES.cost**3
    d = np.array([1.0, -2.0, 1.0, 0.0, 0.0]) / 4
    worst = min(-0.5 * x @ cost @ x for x in [d, d[::-1], np.roll(d, 1)])
    assert worst < 0
