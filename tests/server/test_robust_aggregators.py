"""Medians and trimmed means against numpy and scipy, and how far liars can move them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize

from common.configure import find, kinds, load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Aggregator
from server.aggregators.geometric_median import GeometricMedian
from server.aggregators.mean import Mean
from server.aggregators.median import Median
from server.aggregators.trimmed_mean import TrimmedMean

MEMBERS = [find(Aggregator, kind) for kind in kinds(Aggregator)]
ROBUST = [member() for member in MEMBERS if member.robust and not member.sees_all_samples]
every_robust = pytest.mark.parametrize("aggregator", ROBUST, ids=repr)
seeds = st.integers(0, 10_000)


def combined(aggregator: Aggregator, probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The one target per sample, (N, C)."""
    geometry = LabelGeometry.discrete([f"label {c}" for c in range(probs.shape[2])])
    targets = aggregator.combine(probs, weights, geometry)
    assert np.array_equal(targets.weights, np.ones((1, probs.shape[1])))
    (rows,) = targets.probs
    return rows


def evenly(aggregator: Aggregator, probs: np.ndarray) -> np.ndarray:
    return combined(aggregator, probs, np.ones(probs.shape[:2]))


def scaled(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(axis=1, keepdims=True)


def random_opinions(seed: int, clients: int, samples: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.7] * 4, size=(clients, samples))


def test_median_by_hand() -> None:
    probs = np.array([[[0.7, 0.2, 0.1]], [[0.6, 0.1, 0.3]], [[0.0, 0.4, 0.6]]])
    assert evenly(Median(), probs) == pytest.approx(np.array([[0.6, 0.2, 0.3]]) / 1.1)
    # With twice the weight the first holds half: midway between it and the next.
    made = combined(Median(), probs, np.array([[2.0], [1.0], [1.0]]))
    assert made == pytest.approx(np.array([[0.65, 0.2, 0.2]]) / 1.05)


def test_trimmed_mean_by_hand() -> None:
    # Of four, .25 at either end is one client; .125 is half of one.
    probs = np.array([[[0.1, 0.9]], [[0.2, 0.8]], [[0.4, 0.6]], [[0.9, 0.1]]])
    made = evenly(TrimmedMean(trim=0.25), probs)
    assert made == pytest.approx(np.array([[0.3, 0.7]]))
    made = evenly(TrimmedMean(trim=0.125), probs)
    first = (0.5 * 0.1 + 0.2 + 0.4 + 0.5 * 0.9) / 3
    assert made == pytest.approx(np.array([[first, 1 - first]]))


def test_geometric_median_by_hand() -> None:
    # Three certain teachers at the corners of a regular triangle: its centre.
    assert evenly(GeometricMedian(), np.eye(3)[:, None]) == pytest.approx(np.full((1, 3), 1 / 3))
    # More than half stands on one point: there.
    probs = np.eye(3)[[0, 0, 0, 1, 2], None]
    assert evenly(GeometricMedian(), probs) == pytest.approx(np.array([[1, 0, 0]]))


@pytest.mark.parametrize("clients", [1, 2, 3, 6, 7])
def test_median_agrees_with_numpy(clients: int) -> None:
    probs = random_opinions(clients, clients)
    expected = scaled(np.median(probs, axis=0))
    assert evenly(Median(), probs) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("aggregator", [Median(), TrimmedMean()], ids=repr)
def test_a_whole_weight_is_so_many_clients(aggregator: Aggregator) -> None:
    probs, counts = random_opinions(1, 4), np.array([3, 1, 0, 2])
    weights = np.repeat(counts[:, None], 20, axis=1).astype(np.float64)
    copies = evenly(aggregator, np.repeat(probs, counts, axis=0))
    assert combined(aggregator, probs, weights) == pytest.approx(copies, abs=1e-6)


@pytest.mark.parametrize(("clients", "trim"), [(5, 0.2), (10, 0.3), (6, 0.0), (4, 0.25)])
def test_trimmed_mean_agrees_with_scipy(clients: int, trim: float) -> None:
    probs = random_opinions(clients, clients)
    expected = scaled(stats.trim_mean(probs, trim + 1e-9, axis=0))
    assert evenly(TrimmedMean(trim=trim), probs) == pytest.approx(expected, abs=1e-6)


def test_trimming_nothing_is_the_mean() -> None:
    probs, weights = random_opinions(2, 5), np.random.default_rng(2).gamma(1.0, size=(5, 20))
    mean = combined(Mean(), probs, weights)
    assert combined(TrimmedMean(trim=0), probs, weights) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("trim", [-0.1, 0.5])
def test_a_share_that_leaves_nothing_is_refused(trim: float) -> None:
    with pytest.raises(ConfigError, match=r"trim must be at (least 0|most 0\.49)"):
        load(Aggregator, {"kind": "trimmed_mean", "trim": trim}, "server.aggregator")


def distance_sum(point: np.ndarray, probs: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ np.linalg.norm(probs - point, axis=1))


@pytest.mark.parametrize("clients", [3, 4, 7])
def test_nothing_lies_nearer_to_all_than_the_geometric_median(clients: int) -> None:
    probs, rng = random_opinions(clients, clients), np.random.default_rng(clients)
    weights = rng.dirichlet([1.0] * clients, size=20).T
    made = combined(GeometricMedian(), probs, weights).astype(np.float64)
    for n in range(20):
        one = probs[:, n], weights[:, n]
        tight = {"xatol": 1e-7, "fatol": 1e-10}
        found = minimize(
            distance_sum, weights[:, n] @ probs[:, n], one, "Nelder-Mead", options=tight
        )
        least = min([found.fun, *(distance_sum(point, *one) for point in probs[:, n])])
        assert distance_sum(made[n], *one) < least + 1e-6


def test_the_geometric_median_is_safe_where_points_coincide_or_lie_on_a_line() -> None:
    line = np.linspace(0, 1, 5)[:, None, None] * [1.0, -1.0] + [0.0, 1.0]
    assert evenly(GeometricMedian(), line) == pytest.approx(np.array([[0.5, 0.5]]))
    # Of an even number, anything between the middle two is optimal.
    made = evenly(GeometricMedian(), np.delete(line, 2, axis=0))
    assert 0.25 <= made[0, 0] <= 0.75
    # The mean, .5, stands on an opinion, and is not the minimiser.
    probs = np.array([[[0.0, 1.0]], [[0.5, 0.5]], [[0.75, 0.25]]])
    made = combined(GeometricMedian(), probs, np.array([[0.3], [0.1], [0.6]]))
    assert made == pytest.approx(np.array([[0.75, 0.25]]))
    twins = np.repeat(random_opinions(0, 1), 6, axis=0)
    assert evenly(GeometricMedian(), twins) == pytest.approx(twins[0], abs=1e-6)


@pytest.mark.parametrize("aggregator", [Median(), TrimmedMean(trim=0.4)], ids=repr)
def test_where_nobody_agrees_on_anything_the_target_is_uniform(aggregator: Aggregator) -> None:
    certain = np.eye(4)[:3, None]
    assert evenly(aggregator, certain) == pytest.approx(np.full((1, 4), 0.25))
    nearly = 0.999 * certain + 0.001 / 4
    if isinstance(aggregator, Median):
        assert evenly(aggregator, nearly) == pytest.approx(np.full((1, 4), 0.25))


@pytest.mark.parametrize(
    ("aggregator", "most"), [(Median(), 0.4999), (TrimmedMean(), 0.2)], ids=repr
)
@settings(max_examples=60, deadline=None)
@given(seed=seeds, share=st.floats(0, 1))
def test_liars_cannot_move_a_label_out_of_the_range_of_the_honest(
    aggregator: Aggregator, most: float, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    honest, liars = random_opinions(seed, 4, 1), rng.dirichlet([0.05] * 4, size=(3, 1))
    weights = np.vstack(
        [
            (1 - share * most) * rng.dirichlet([1.0] * 4, size=1).T,
            share * most * rng.dirichlet([1.0] * 3, size=1).T,
        ]
    )
    made = combined(aggregator, np.vstack([honest, liars]), weights)[0].astype(np.float64)
    low, high = honest[:, 0].min(axis=0), honest[:, 0].max(axis=0)
    # What is proven holds before scaling: some factor brings every label into its range.
    some = made > 1e-9
    factor_low, factor_high = (low[some] / made[some]).max(), (high[some] / made[some]).min()
    assert factor_low <= factor_high * (1 + 1e-5)
    assert np.all(low[~some] <= 1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, share=st.floats(0, 0.49))
def test_liars_move_the_geometric_median_no_farther_than_the_bound(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    honest, liars = rng.dirichlet([20.0] * 4, size=(4, 1)), np.eye(4)[rng.integers(4, size=3), None]
    weights = np.array([[(1 - share) / 4]] * 4 + [[share / 3]] * 3)
    made = combined(GeometricMedian(), np.vstack([honest, liars]), weights)
    centre = honest.mean(axis=0)
    radius = np.linalg.norm(honest - centre, axis=2).max()
    bound = 2 * radius * (1 - share) / (1 - 2 * share)
    assert np.linalg.norm(made - centre) <= bound + 1e-6


@every_robust
def test_one_liar_of_five_turns_the_mean_but_none_of_these(aggregator: Aggregator) -> None:
    probs = np.array([[[0.6, 0.4]]] * 4 + [[[0.0, 1.0]]])
    assert evenly(Mean(), probs)[0].argmax() == 1
    assert evenly(aggregator, probs) == pytest.approx(np.array([[0.6, 0.4]]), abs=1e-6)


@every_robust
def test_a_minority_that_alone_knows_a_label_is_outvoted_too(aggregator: Aggregator) -> None:
    # Why none of these is a default: the fifth may be the only one who has seen the label.
    probs = np.array([[[0.9, 0.1, 0.0]]] * 4 + [[[0.0, 0.0, 1.0]]])
    assert evenly(aggregator, probs)[0, 2] == pytest.approx(0, abs=1e-6)
