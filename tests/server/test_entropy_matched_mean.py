"""The mean at the power that undoes its softening: by hand, against scipy, and at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from common.arrays import Floats
from common.labels import LabelGeometry
from server.aggregators.entropy_matched_mean import EntropyMatchedMean, matching_power
from server.aggregators.mean import Mean
from server.aggregators.power_mean import PowerMean


def combined(
    probs: Floats, weights: Floats | None = None, max_power: float = 10.0
) -> tuple[Floats, Floats]:
    """The target (N, C), and the plain mixture."""
    weights = np.ones(probs.shape[:2]) if weights is None else weights
    geometry = LabelGeometry.discrete([f"label {c}" for c in range(probs.shape[2])])
    made = EntropyMatchedMean(max_power=max_power).combine(probs, weights, geometry)
    return made.probs[0], Mean().combine(probs, weights, geometry).probs[0]


def opinions(seed: int, clients: int = 4, samples: int = 30) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.6] * 5, size=(clients, samples)) * 0.99 + 0.002
    return probs, rng.gamma(1.0, size=(clients, samples))


def test_by_hand() -> None:
    # Text 0: all say (.9, .1), entropy .3251. Text 1: (.9, .1) and (.6, .4), entropies .3251 and
    # .6730, whose mean (.75, .25) has .5623. Wanted in all: .3251 + .4990 = .8241, not .8874.
    # At power b the odds 9 and 3 become 9^b and 3^b; b = 1.0976 makes them 11.15 and 3.340, that
    # is (.9177, .0823) and (.7696, .2304), with entropies .2844 + .5398 = .8242.
    probs = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.6, 0.4]]])
    made, mean = combined(probs)
    assert mean[1] == pytest.approx([0.75, 0.25])
    assert made == pytest.approx(np.array([[0.9177, 0.0823], [0.7696, 0.2304]]), abs=1e-4)
    powers = np.log(made[:, 0] / made[:, 1]) / np.log([9, 3])
    assert powers == pytest.approx([1.0976, 1.0976], abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_against_scipys_root_of_scipys_entropies(seed: int) -> None:
    probs, weights = opinions(seed)
    shares = weights / weights.sum(axis=0)
    wanted = (shares * stats.entropy(probs, axis=2)).sum(axis=0).mean()
    logs = np.log(np.einsum("kn,knc->nc", shares, probs))
    root = optimize.brentq(
        lambda b: stats.entropy(special.softmax(b * logs, axis=1), axis=1).mean() - wanted, 1, 10
    )
    made, _ = combined(probs, weights)
    assert made == pytest.approx(special.softmax(root * logs, axis=1), abs=1e-6)
    same = PowerMean(power=root).combine(probs, weights, LabelGeometry.discrete(list("abcde")))
    assert made == pytest.approx(same.probs[0], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    clients=st.integers(1, 6),
    samples=st.integers(1, 40),
    sharp=st.sampled_from([0.05, 0.3, 1.0, 30.0]),
)
def test_targets_are_as_certain_as_the_opinions_or_as_near_as_may_be(
    seed: int, clients: int, samples: int, sharp: float
) -> None:
    """And in between: never softer than the mean, labels in the same order."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([sharp] * 4, size=(clients, samples)).astype(np.float32)
    weights = rng.gamma(1.0, size=(clients, samples))
    made, mean = combined(probs, weights)
    shares = weights / weights.sum(axis=0)
    wanted = (shares * stats.entropy(probs.astype(float), axis=2)).sum(axis=0).mean()
    found, soft = stats.entropy(made, axis=1).mean(), stats.entropy(mean, axis=1).mean()
    assert wanted - 1e-5 <= found <= soft + 1e-5
    largest = np.log(np.maximum(mean.astype(float), 1e-300)) * 10
    reached = stats.entropy(special.softmax(largest, axis=1), axis=1).mean()
    assert found == pytest.approx(max(wanted, reached), abs=1e-5)
    best = np.take_along_axis(mean, made.argmax(axis=1)[:, None], axis=1)[:, 0]
    assert best == pytest.approx(mean.max(axis=1), abs=1e-6)


@pytest.mark.parametrize("clients", [1, 2, 7])
def test_equal_opinions_are_repeated_exactly(clients: int) -> None:
    rows = np.random.default_rng(0).dirichlet([0.5] * 5, size=50).astype(np.float32)
    rows[0], rows[1] = np.eye(5)[2], 0.2
    probs = np.broadcast_to(rows, (clients, 50, 5))
    shares = np.random.default_rng(1).gamma(1.0, size=(clients, 50))
    made, mean = combined(probs, shares)
    assert np.array_equal(made, mean)


def test_certain_opinions_that_agree_stay_and_those_that_do_not_get_the_largest_power() -> None:
    same, other = np.eye(3)[[0, 1]], np.eye(3)[[0, 2]]
    agreed, _ = combined(np.stack([same, same]))
    assert np.array_equal(agreed, same.astype(np.float32))
    # Two of three say the second: odds of 2 become 2^10; nobody says the first, nor will.
    made, _ = combined(np.stack([same, same, other]))
    assert made[1] == pytest.approx([0, 1024 / 1025, 1 / 1025])
    assert made[1, 0] == 0
    # One against one is a tie at any power.
    tied, _ = combined(np.stack([same, other]), max_power=100.0)
    assert tied[1] == pytest.approx([0, 0.5, 0.5])


def test_what_is_uniform_stays_and_does_not_break_the_search() -> None:
    probs = np.full((3, 4, 5), 0.2)
    assert combined(probs)[0] == pytest.approx(0.2)
    assert matching_power(probs[0], 0.0, 10.0) == 10.0
    assert matching_power(probs[0], float(np.log(5)), 10.0) == 1.0


def test_who_weighs_nothing_asks_for_no_certainty() -> None:
    probs, weights = opinions(3)
    weights[1] = 0
    loud = probs.copy()
    loud[1] = np.eye(5)[0]
    assert np.array_equal(combined(probs, weights)[0], combined(loud, weights)[0])


def test_one_power_for_all_texts() -> None:
    """A text on which all agree is sharpened, too, because of the others."""
    probs, _ = opinions(4)
    probs[:, 0] = probs[0, 0]
    made, mean = combined(probs)
    powers = np.log(made[:, :1] / made[:, 1:]) / np.log(mean[:, :1] / mean[:, 1:])
    assert powers == pytest.approx(float(np.median(powers)), rel=1e-2)
    assert float(np.median(powers)) > 1.05
