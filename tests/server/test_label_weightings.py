"""Weights from known labels, by hand and against scipy and sklearn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn import metrics

from common.failures import ConfigError
from common.predictions import UNKNOWN, Ensemble
from server.weightings import NOTHING
from server.weightings.ca_mkd import CaMkd
from server.weightings.stacking import Stacking, mixture
from server.weightings.validation import Validation

K, N, C = 4, 60, 3
PROBS = np.array(
    [
        [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]],
        [[0.2, 0.4, 0.4], [0.5, 0.5, 0.0], [0.1, 0.8, 0.1]],
    ]
)
LABELS = np.array([0, 1, UNKNOWN])
BY_HAND = Ensemble(np.arange(2), PROBS, labels=LABELS)
EVERY = [Validation(), Validation(by="errors"), Stacking(), Stacking(per="label")]
EVERY += [CaMkd(), CaMkd(elsewhere="label")]
every = pytest.mark.parametrize("weighting", EVERY, ids=repr)


def random_ensemble(seed: int = 0, known: float = 0.7) -> Ensemble:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.7] * C, size=(K, N))
    labels = np.where(rng.random(N) < known, rng.integers(C, size=N), UNKNOWN)
    return Ensemble(np.arange(K), probs, labels=labels)


def said_of_known(ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Opinions (K, M, C) on texts with a known label, and the labels (M,)."""
    rows = np.flatnonzero(ensemble.labels != UNKNOWN)
    return ensemble.probs[:, rows], ensemble.labels[rows]


def test_validation_by_hand() -> None:
    # What they give to the labels: .8 and .2; .2 and .5. With a temperature of 1 the exponential
    # of minus the mean loss is the geometric mean of these: .4, and the root of .1.
    shares = np.array([0.4, np.sqrt(0.1)])
    shares /= shares.sum()
    weights = Validation(temperature=1.0, shrinkage=0.0).weigh(BY_HAND, NOTHING)
    assert weights == pytest.approx(np.repeat(shares[:, None], 3, axis=1))
    drawn = Validation(temperature=1.0, shrinkage=0.5).weigh(BY_HAND, NOTHING)
    assert drawn == pytest.approx((weights + 0.5) / 2)


def test_validation_by_errors_by_hand() -> None:
    # Teacher 0 is right, wrong; teacher 1 wrong, and of two equal firsts takes the lower: wrong.
    shares = special.softmax([-0.5 / 0.25, -1.0 / 0.25])
    weighting = Validation(by="errors", temperature=0.25, shrinkage=0.0)
    assert weighting.weigh(BY_HAND, NOTHING)[:, 0] == pytest.approx(shares)


@pytest.mark.parametrize("seed", range(3))
def test_validation_against_sklearn(seed: int) -> None:
    ensemble = random_ensemble(seed)
    probs, labels = said_of_known(ensemble)
    probs = np.maximum(probs, 1e-3)  # sklearn scales rows: their sum is 1 but for the floor
    losses = [metrics.log_loss(labels, p / p.sum(1, keepdims=True), labels=range(C)) for p in probs]
    weights = Validation(shrinkage=0.0).weigh(ensemble, NOTHING)[:, 0]
    assert weights == pytest.approx(special.softmax(-np.array(losses) / 0.2), rel=2e-2)
    wrong = [1 - metrics.accuracy_score(labels, p.argmax(axis=1)) for p in probs]
    weights = Validation(by="errors", shrinkage=0.0).weigh(ensemble, NOTHING)[:, 0]
    assert weights == pytest.approx(special.softmax(-np.array(wrong) / 0.2))


def test_stacking_by_hand() -> None:
    # One label, likelihoods a and b, a prior of s labels: with w and 1 - w the posterior
    # log(w a + (1 - w) b) + s/2 log w + s/2 log(1 - w) for b = 0, s = 2 is 2 log w + log(1 - w).
    tiny = np.array([[1.0], [1e-300]])
    assert mixture(tiny, np.array([0.5, 0.5]), 2.0) == pytest.approx([2 / 3, 1 / 3])
    # And none but the prior, where nothing is known.
    assert mixture(np.ones((2, 0)), np.array([0.3, 0.7]), 2.0) == pytest.approx([0.3, 0.7])


def posterior(weights, likelihoods, centre, prior):
    return np.log(weights @ likelihoods).sum() + prior * (centre * np.log(weights)).sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), prior=st.floats(0.5, 50))
def test_no_mixture_is_likelier_than_that_of_stacking(seed: int, prior: float) -> None:
    rng = np.random.default_rng(seed)
    likelihoods = rng.uniform(1e-3, 1, size=(K, 40))
    centre = rng.dirichlet(np.ones(K) * 5)

    def loss(logits):
        return -posterior(special.softmax(logits), likelihoods, centre, prior)

    found = optimize.minimize(loss, np.zeros(K), method="BFGS", options={"gtol": 1e-8})
    weights = mixture(likelihoods, centre, prior)
    assert weights == pytest.approx(special.softmax(found.x), abs=1e-4)
    assert posterior(weights, likelihoods, centre, prior) >= -found.fun - 1e-9


def test_stacking_weighs_each_leaning_by_its_own_labels() -> None:
    ensemble = random_ensemble(1)
    said, labels = said_of_known(ensemble)
    leaning = ensemble.probs.mean(axis=0).argmax(axis=1)
    likelihoods = np.maximum(said[:, np.arange(len(labels)), labels], 1e-3)
    common = mixture(likelihoods, np.full(K, 1 / K), 10.0)
    assert Stacking().weigh(ensemble, NOTHING) == pytest.approx(np.repeat(common[:, None], N, 1))
    weights = Stacking(per="label").weigh(ensemble, NOTHING)
    for label in range(C):
        belongs = leaning[ensemble.labels != UNKNOWN] == label
        expected = mixture(likelihoods[:, belongs], common, 10.0)
        assert (
            pytest.approx(np.tile(expected, (sum(leaning == label), 1)))
            == weights[:, leaning == label].T
        )


def test_ca_mkd_by_hand() -> None:
    # exp of the cross-entropies is 1/p: 1.25 and 5, then 5 and 2. With two teachers the weight of
    # one is the other's share: 5 / 6.25 = .8, and 2 / 7; elsewhere the mean of both.
    first, second = 0.8, 2 / 7
    weights = CaMkd().weigh(BY_HAND, NOTHING)
    assert weights[0] == pytest.approx([first, second, (first + second) / 2])
    assert weights.sum(axis=0) == pytest.approx(np.ones(3))


def test_ca_mkd_believes_nobody_more_than_all_others_could() -> None:
    weights = CaMkd().weigh(random_ensemble(2), NOTHING)
    assert weights.max() <= 1 / (K - 1)
    assert weights.sum(axis=0) == pytest.approx(np.ones(N))


@pytest.mark.parametrize("seed", range(3))
def test_ca_mkd_against_scipy(seed: int) -> None:
    ensemble = random_ensemble(seed)
    said, labels = said_of_known(ensemble)
    entropies = -np.log(np.maximum(said[:, np.arange(len(labels)), labels], 1e-3))
    expected = (1 - special.softmax(entropies, axis=0)) / (K - 1)
    weights, known = CaMkd().weigh(ensemble, NOTHING), ensemble.labels != UNKNOWN
    assert weights[:, known] == pytest.approx(expected)
    assert pytest.approx(np.tile(expected.mean(axis=1), (sum(~known), 1))) == weights[:, ~known].T


def test_ca_mkd_by_leaning_is_a_mean_of_those_drawn_to_the_mean_of_all() -> None:
    ensemble = random_ensemble(3)
    plain, known = CaMkd().weigh(ensemble, NOTHING), ensemble.labels != UNKNOWN
    leaning = ensemble.probs.mean(axis=0).argmax(axis=1)
    weights = CaMkd(elsewhere="label", prior=4.0).weigh(ensemble, NOTHING)
    assert np.array_equal(weights[:, known], plain[:, known])
    for row in np.flatnonzero(~known):
        of_kind = plain[:, known & (leaning == leaning[row])]
        count, mean = of_kind.shape[1], plain[:, known].mean(axis=1)
        assert weights[:, row] == pytest.approx((of_kind.sum(axis=1) + 4 * mean) / (count + 4))


@every
def test_who_knows_the_labels_is_believed_most(weighting) -> None:
    ensemble = random_ensemble(4)
    probs = ensemble.probs.copy()
    truth = np.where(ensemble.labels == UNKNOWN, 0, ensemble.labels)
    probs[2] = np.full((N, C), 0.05)
    probs[2, np.arange(N), truth] = 0.9
    weights = weighting.weigh(replace(ensemble, probs=probs), NOTHING)
    assert np.all(weights.mean(axis=1).argmax() == 2)


@every
@pytest.mark.parametrize("labels", [None, np.full(N, UNKNOWN)])
def test_without_a_known_label_it_says_what_to_write(weighting, labels) -> None:
    with pytest.raises(ConfigError, match=r"data\.labelled_transfer = 200"):
        weighting.weigh(replace(random_ensemble(), labels=labels), NOTHING)


@pytest.mark.parametrize("weighting", [w for w in EVERY if "label'" not in repr(w)], ids=repr)
def test_unknown_texts_have_no_say(weighting) -> None:
    """Unless it groups texts by what the teachers say of all of them."""
    ensemble = random_ensemble(5)
    known = ensemble.labels != UNKNOWN
    probs = np.where(known[None, :, None], ensemble.probs, 1 / C)
    changed = weighting.weigh(replace(ensemble, probs=probs), NOTHING)
    assert np.array_equal(changed, weighting.weigh(ensemble, NOTHING))
