"""Figures of attacks against scikit-learn, scipy, enumeration and tables worked out by hand."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from common.gaussian_dp import delta_of, epsilon_of, mu_of
from simulations.attacks._bounds import gaussian_mu, one_run_epsilon, one_run_p_value
from simulations.attacks._figures import (
    curve,
    excess,
    membership,
    most_tpr,
    most_tpr_of,
    worst_hit,
)
from simulations.attacks._likelihood import lira, log_odds, rmia
from simulations.attacks._release import defences
from simulations.attacks._surrogate import EXACT, RECIPES, Copyist, odds, recovered
from simulations.attacks.extraction import relative_error
from simulations.attacks.inversion import prototypes
from simulations.attacks.label_distribution import compared
from simulations.attacks.rmia_disjoint import probabilities


def drawn(seed, size=60, ties=True):
    rng = np.random.default_rng(seed)
    inside = rng.random(size) < 0.5
    inside[:2] = True, False
    scores = rng.normal(size=size) + inside
    return (np.round(scores, 1) if ties else scores), inside


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_area_and_rates_are_scikit_learns(seed, ties):
    scores, inside = drawn(seed, ties=ties)
    found = curve(scores, inside, np.ones((1, 60)), (0.0, 0.1, 0.3))
    assert found.auc[0] == pytest.approx(roc_auc_score(inside, scores))
    false, true, _ = roc_curve(inside, scores, drop_intermediate=False)
    expected = [true[false <= rate + 1e-12].max() for rate in (0.0, 0.1, 0.3)]
    assert found.tpr[0] == pytest.approx(expected)


def test_weights_count_like_copies():
    scores, inside = drawn(3)
    weights = np.random.default_rng(0).integers(0, 4, size=60)
    copies = np.repeat(np.arange(60), weights)
    found = curve(scores, inside, weights[None].astype(float), (0.1,))
    assert found.auc[0] == pytest.approx(roc_auc_score(inside[copies], scores[copies]))


def test_an_interval_is_that_of_drawn_models_and_holds_the_figure():
    rng = np.random.default_rng(1)
    inside = rng.random((30, 40)) < 0.5
    scores = rng.normal(size=(30, 40)) + inside
    found = membership(scores, inside, np.random.default_rng(2))
    low, high = found["auc_interval"]
    assert low < found["auc"] < high
    each = [roc_auc_score(i, s) for i, s in zip(inside, scores, strict=True)]
    spread = np.std(each) / math.sqrt(30)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.4)
    assert found["decisions"] == 1200
    assert found["negatives"] == (~inside).sum()


def test_equal_scores_are_worth_a_coin():
    inside = np.tile([True, False], (8, 5))
    found = membership(np.zeros((8, 10)), inside, np.random.default_rng(0))
    assert found["auc"] == 0.5
    assert found["tpr"] == {"0.01": 0.0, "0.001": 0.0}


def test_the_worst_hit_candidate_is_found_and_measured_on_other_models():
    rng = np.random.default_rng(0)
    inside = rng.random((40, 30)) < 0.5
    scores = rng.normal(size=(40, 30))
    scores[:, 7] += 20 * inside[:, 7]
    assert 7 in worst_hit(scores, inside, 2)["candidates"]
    assert worst_hit(scores, inside, 1) == {"candidates": [7], "auc": 1.0}
    assert worst_hit(scores[:4], inside[:4])["auc"] is None


def test_what_a_guarantee_allows_is_the_line_of_the_normal_test():
    mu, rate = 1.3, 0.01
    threshold = norm.isf(rate)
    assert most_tpr(mu, rate) == pytest.approx(norm.sf(threshold, loc=mu))
    assert most_tpr(0.0, 0.2) == pytest.approx(0.2)
    epsilon = 2.0  # and so it is nowhere above that of (epsilon, delta)
    assert most_tpr(mu, rate) <= math.exp(epsilon) * rate + delta_of(mu, epsilon)


def test_what_epsilon_and_delta_allow_is_the_outer_line_of_all_gaussians_within():
    """Randomised response is exactly on it; no mechanism of mu with that epsilon is above it."""
    epsilon, delta = 1.2, 1e-3
    told = math.exp(epsilon) / (1 + math.exp(epsilon))  # the truth is said so often
    assert most_tpr_of(epsilon, 0.0, 1 - told) == pytest.approx(told)
    mu = mu_of(epsilon, delta)
    for rate in (1e-4, 0.01, 0.2, 0.6, 0.99):
        assert most_tpr(mu, rate) <= most_tpr_of(epsilon, delta, rate) + 1e-9 <= 1 + 1e-9
    assert most_tpr_of(0.0, 0.0, 0.3) == pytest.approx(0.3)
    assert most_tpr_of(1e6, 0.0, 0.001) == 1.0


def test_a_kept_promise_is_hardly_ever_said_to_be_broken_and_a_broken_one_is():
    """Scores of the normal test at mu: the promise is tight, so nothing is more dangerous."""
    rng, mu = np.random.default_rng(0), 1.0
    inside = np.arange(200) % 2 == 0
    scores = [rng.normal(size=200) + mu * inside for _ in range(100)]
    assert sum(excess(s, inside, lambda r: most_tpr(mu, r)) > 0 for s in scores) <= 4
    assert excess(rng.normal(size=200) + 4 * inside, inside, lambda r: most_tpr(mu, r)) > 0.1
    assert excess(np.zeros(200), inside, lambda r: most_tpr(0.0, r)) == 0.0


def test_the_excess_by_hand():
    """All of 50 members above all of 50 others, and nothing is allowed but a coin."""
    inside = np.arange(100) < 50
    off = math.sqrt(math.log(400) / 100)
    found = excess(inside.astype(float), inside, lambda rate: rate)
    assert found == pytest.approx((1 - off) - off)


def test_log_odds_are_those_of_the_label():
    probs = np.array([[[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]]])
    found = log_odds(probs, np.array([1, 0, 0]), 0.04)
    assert found[0] == pytest.approx([math.log(4), 0.0, math.log(100)])


def test_lira_is_the_ratio_of_scipys_densities():
    rng = np.random.default_rng(0)
    shadows = rng.normal(size=(6, 2))
    inside = np.array([[1, 0], [0, 1]] * 3, dtype=bool)
    targets = rng.normal(size=(3, 2))
    pooled = {}
    for there in (True, False):
        mine = [shadows[inside[:, p] == there, p] for p in range(2)]
        pooled[there] = [m.mean() for m in mine], math.sqrt(np.mean([m.var(ddof=1) for m in mine]))
    expected = norm.logpdf(targets, *pooled[True]) - norm.logpdf(targets, *pooled[False])
    assert lira(targets, shadows, inside) == pytest.approx(expected)
    offline = lira(targets, shadows, inside, online=False)
    assert offline == pytest.approx(norm.logcdf(targets, *pooled[False]))


def test_rmia_is_counted_by_hand():
    own, own_few = np.array([[0.9]]), np.array([[0.5], [0.8]])
    inside = np.array([[False], [True]])
    new, new_few = np.array([[0.6, 0.2, 0.9]]), np.full((2, 3), 0.5)
    trust, gamma = 0.5, 1.0
    gain = 0.9 / ((1.5 * 0.5 + 0.5) / 2)
    expected = np.mean([gain >= gamma * z / 0.5 for z in (0.6, 0.2, 0.9)])
    found = rmia((own, own_few), inside, (new, new_few), gamma, trust)
    assert found == pytest.approx(expected)


def test_rmia_is_the_count_of_the_paper_pair_by_pair():
    rng = np.random.default_rng(0)
    own, own_few = rng.uniform(0.05, 1, size=(2, 3)), rng.uniform(0.05, 1, size=(4, 3))
    new, new_few = rng.uniform(0.05, 1, size=(2, 7)), rng.uniform(0.05, 1, size=(4, 7))
    inside = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    gamma, trust = 1.1, 0.3
    expected = np.zeros((2, 3))
    for model, x in product(range(2), range(3)):
        out = np.mean([own_few[s, x] for s in range(4) if not inside[s, x]])
        usual = ((1 + trust) * out + (1 - trust)) / 2
        for z in range(7):
            ratio = (own[model, x] / usual) / (new[model, z] / new_few[:, z].mean())
            expected[model, x] += (ratio >= gamma) / 7
    found = rmia((own, own_few), inside, (new, new_few), gamma, trust)
    assert found == pytest.approx(expected)


def test_copies_of_linear_models_say_what_the_models_would_say_elsewhere():
    _, features, probs = linear_said(rows=100)
    copyist = Copyist(features[:80], features[80:])
    said = probabilities(copyist, EXACT, probs[None, :80], 1e-12)
    assert said[0] == pytest.approx(probs[80:], abs=1e-6)
    for recipe in RECIPES:
        assert probabilities(copyist, recipe, probs[None, :80], 1e-3).sum(axis=2) == pytest.approx(
            1
        )


def test_a_prototype_by_hand():
    """Variances 4 and 1, so that a weight on the second pixel moves it a quarter as far."""
    shared = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) * math.sqrt(3 / 2)
    assert np.cov(shared, rowvar=False) == pytest.approx(np.diag([4.0, 1.0]))
    across, along = prototypes(np.array([[1.0, 1.0], [0.0, 9.0]]), shared, 2.0)
    length = 2 * math.sqrt(5)
    assert across == pytest.approx(length * np.array([4.0, 1.0]) / math.sqrt(17))
    assert along == pytest.approx([0.0, length])


@pytest.mark.parametrize("seed", range(3))
def test_a_prototype_is_the_likeliest_picture_by_an_optimiser(seed):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + rng.normal(size=4)
    weights = rng.normal(size=(3, 4))
    centre, precision = shared.mean(axis=0), np.linalg.inv(np.cov(shared, rowvar=False))
    for w, drawn_at in zip(weights, prototypes(weights, shared, 1.5), strict=True):
        away = drawn_at - centre
        pull = (w @ away) / (away @ precision @ away)  # at the maximum both terms are in balance

        def loss(x, w=w, pull=pull):
            return -(w @ x) + pull / 2 * (x - centre) @ precision @ (x - centre)

        best = minimize(loss, centre, method="BFGS", options={"gtol": 1e-9}).x
        assert best == pytest.approx(drawn_at, abs=1e-4)
        spread = math.sqrt(np.trace(np.cov(shared, rowvar=False)))
        assert np.linalg.norm(away) == pytest.approx(1.5 * spread)


def linear_said(seed=0, rows=60, bits=None):
    rng = np.random.default_rng(seed)
    weights, features = rng.normal(size=(3, 9)), rng.normal(size=(rows, 8))
    inputs = np.concatenate([features, np.ones((rows, 1))], axis=1)
    probs = softmax(inputs @ weights.T, axis=1)
    return weights, features, probs


def test_a_linear_head_is_solved_from_as_many_answers_as_it_has_weights():
    weights, features, probs = linear_said(rows=9)
    assert relative_error(recovered(features, probs, 1e-12), weights) < 1e-9
    _, features, probs = linear_said(rows=400)
    rough = np.round(probs, 2)
    error = relative_error(recovered(features, rough, 0.01), weights)
    assert 1e-4 < error < 0.05
    assert relative_error(weights + 5.0, weights) == pytest.approx(0)  # a shift shows in no answer


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_copy_says_elsewhere_what_the_model_says(recipe):
    _, features, probs = linear_said(rows=300)
    copyist = Copyist(features[:250], features[250:])
    scores = copyist.scores(recipe, probs[None, :250], 1e-7)[0]
    agreement = (scores.argmax(axis=1) == probs[250:].argmax(axis=1)).mean()
    assert agreement > (0.75 if recipe.ridge == 1.0 else 0.85)


def test_the_exact_copy_is_exact_and_its_odds_are_the_models():
    _, features, probs = linear_said(rows=100)
    scores = Copyist(features[:80], features[80:]).scores(EXACT, probs[None, :80], 1e-12)
    labels = np.arange(20) % 3
    p = probs[80:][np.arange(20), labels]
    assert odds(EXACT, scores, labels)[0] == pytest.approx(np.log(p / (1 - p)), abs=1e-6)


def test_label_shares_against_a_table_by_hand():
    guess = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    counts = np.array([[10.0, 10.0, 0.0], [0.0, 0.0, 20.0]])
    found = compared(guess, counts)
    assert found["tv"] == pytest.approx((0.0 + 0.3) / 2)
    assert found["tv_blind"] == pytest.approx((0.5 + 0.5) / 2)
    assert found["absent_auc"] == pytest.approx(1.0)


@pytest.mark.parametrize(("guesses", "correct"), [(5, 5), (6, 4), (7, 7), (8, 0)])
def test_one_run_at_delta_zero_is_an_exact_binomial_tail(guesses, correct):
    epsilon = 0.7
    chance = math.exp(epsilon) / (1 + math.exp(epsilon))
    tail = sum(
        math.prod(chance if bit else 1 - chance for bit in bits)
        for bits in product((0, 1), repeat=guesses)
        if sum(bits) >= correct
    )
    assert one_run_p_value(20, guesses, correct, epsilon, 0.0) == pytest.approx(tail)


def test_one_run_with_delta_adds_the_largest_mean_below():
    chance, delta = 0.5, 1e-3
    below = [math.comb(4, k) * chance**4 for k in (2, 1, 0)]
    alpha = max(np.mean(below[: k + 1]) for k in range(3))
    tail = sum(math.comb(4, k) for k in (3, 4)) * chance**4
    expected = tail + 2 * 10 * delta * alpha
    assert one_run_p_value(10, 4, 3, 0.0, delta) == pytest.approx(expected)


def test_the_largest_refuted_epsilon_is_where_the_p_value_crosses():
    found = one_run_epsilon(100, 100, 95, 1e-5, 0.05)
    assert one_run_p_value(100, 100, 95, found, 1e-5) == pytest.approx(0.05, abs=1e-6)
    everything = one_run_epsilon(50, 50, 50, 0.0, 0.05)  # chance^50 = 0.05
    root = 0.05 ** (1 / 50)
    assert everything == pytest.approx(math.log(root / (1 - root)), abs=1e-6)
    assert one_run_epsilon(50, 50, 25, 0.0, 0.05) == 0.0


def test_mu_is_not_overstated_when_guesses_are_those_of_a_normal_test():
    rng, mu = np.random.default_rng(0), 1.0
    over = 0
    for _ in range(200):
        marks = rng.normal(size=(20, 50)) + mu * (there := rng.random((20, 50)) < 0.5)
        over += gaussian_mu(((marks > mu / 2) == there).mean(axis=1), 0.05) > mu
    assert over <= 20  # 5 % of 200 are 10
    assert gaussian_mu(np.ones(24), 0.05) == pytest.approx(2 * norm.ppf(0.05 ** (1 / 24)))
    assert gaussian_mu(np.full(5, 0.4), 0.05) == 0.0


def test_noise_on_answers_is_said_to_be_worth_what_it_is():
    noised = next(d for d in defences(8, None, 0, 1000) if d.name.startswith("noise"))
    worst = epsilon_of(math.sqrt(2000) / 0.2, 1e-5)
    assert f"{worst:,.0f}" in noised.about
    assert worst == pytest.approx(25_953, rel=1e-3)  # exact Gaussian mechanism, N = 1000
