"""What every hiding keeps, found by its family and never listed by hand."""

import numpy as np
import pytest
from scipy import optimize, stats

from common.configure import dump, kinds, load
from server.hidings import Hiding

EVERY = pytest.mark.parametrize("kind", kinds(Hiding))
PROBS = np.random.default_rng(0).dirichlet(np.full(4, 0.5), size=(30, 25))


def made(kind, **settings):
    return load(Hiding, {"kind": kind, **settings})


def balle_wang(sigma, sensitivity, delta):
    """Epsilon of the analytic Gaussian mechanism, by another route than ours: its delta solved."""

    def over(epsilon):
        ratio = sensitivity / (2 * sigma)
        shift = epsilon * sigma / sensitivity
        later = np.exp(epsilon) * stats.norm.cdf(-ratio - shift)
        return stats.norm.cdf(ratio - shift) - later - delta

    return optimize.brentq(over, 0, 200, xtol=1e-12)


@EVERY
def test_it_comes_back_from_its_table(kind):
    hiding = made(kind, epsilon_target=2.0, budget=3.0)
    assert load(Hiding, {"kind": kind, **dump(hiding)}) == hiding


@EVERY
@pytest.mark.parametrize(("epsilon", "delta"), [(8.0, 1e-3), (1.0, 1e-5), (0.3, 1e-4)])
@pytest.mark.parametrize("rows", [1, 100, 2000])
def test_sigma_is_that_of_the_analytic_gaussian_mechanism(kind, epsilon, delta, rows):
    sigma = made(kind, epsilon_target=epsilon, delta=delta).sigma(rows)
    assert balle_wang(sigma, np.sqrt(2 * rows), delta) == pytest.approx(epsilon, rel=1e-9)


@EVERY
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_rounds_are_added_up_as_a_public_accountant_does(kind, rounds):
    accounting = pytest.importorskip("dp_accounting")
    from dp_accounting.pld import PLDAccountant

    hiding = made(kind, epsilon_target=2.0, delta=1e-5)
    sigma, moved = hiding.sigma(50), np.sqrt(2 * 50)
    accountant = PLDAccountant()
    accountant.compose(accounting.GaussianDpEvent(sigma / moved), rounds)
    wanted = accountant.get_epsilon(1e-5)
    assert hiding.epsilon([moved / sigma] * rounds) == pytest.approx(wanted, rel=1e-3)


@EVERY
def test_one_client_moves_the_sum_by_no_more_than_the_noise_is_made_for(kind):
    """Its shard replaced, a client may turn every row from one corner to another; K is fixed."""
    hiding, rows = made(kind), PROBS.shape[1]
    rng = np.random.default_rng(1)
    worst, before = 0.0, hiding.counted(PROBS).sum(axis=0)
    for _ in range(50):
        other = PROBS.copy()
        other[3] = np.eye(4)[rng.integers(4, size=rows)]
        worst = max(worst, np.linalg.norm(hiding.counted(other).sum(axis=0) - before))
    assert worst <= np.sqrt(2 * rows) + 1e-12
    corners = [hiding.counted(np.tile(np.eye(4)[c], (1, rows, 1)))[0] for c in (0, 1)]
    assert np.linalg.norm(corners[0] - corners[1]) == pytest.approx(np.sqrt(2 * rows))


@EVERY
@pytest.mark.parametrize("noise", [0.0, 0.3, 1e3])
def test_targets_are_distributions(kind, noise):
    hiding = made(kind)
    mean = hiding.counted(PROBS).mean(axis=0)
    target = hiding.target(mean + noise * np.random.default_rng(2).normal(size=mean.shape))
    assert target.min() >= 0
    assert np.allclose(target.sum(axis=1), 1)


@EVERY
def test_who_all_agree_on_a_label_is_heard_without_noise(kind):
    hiding = made(kind)
    sure = np.tile(np.eye(4)[[2, 0, 1]], (5, 1, 1))
    assert np.allclose(hiding.target(hiding.counted(sure).mean(axis=0)), sure[0])


@EVERY
def test_a_seed_is_not_private(kind):
    assert made(kind).private
    assert not made(kind, noise_seed=1).private


@EVERY
def test_it_says_how_large_its_noise_is(kind):
    assert "3" in made(kind).told(3.0, 1)
