"""Pairs of labels are compared by those who know both."""

import numpy as np
import pytest

from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import pairwise_coupling
from server.aggregators.geometric_mean import GeometricMean
from server.aggregators.mean import Mean
from server.aggregators.pairwise_coupling import PairwiseCoupling, common_knowledge, coupled

THREE = LabelGeometry.ordinal(list("abc"))
FIVE = LabelGeometry.ordinal(list("abcde"))


def opinions(seed, clients=4, samples=40, labels=5):
    rng = np.random.default_rng(seed)
    shape = rng.gamma(0.5, size=(clients, 1, labels)) + 0.05  # everybody has favourites
    probs = np.stack([rng.dirichlet(row[0], size=samples) for row in 3 * shape])
    return probs.astype(np.float32), rng.gamma(1.0, size=(clients, samples))


def test_by_hand():
    """One knows a and b only, one b and c only: 2 to 1 and 3 to 1 make 6 to 3 to 1."""
    logits = np.log(np.array([[[2.0, 1.0, 9.9]], [[9.9, 3.0, 1.0]]]))
    known = np.zeros((2, 3, 3))
    known[0, 0, 1] = known[0, 1, 0] = known[1, 1, 2] = known[1, 2, 1] = 1.0
    z = coupled(logits, np.ones((2, 1)), known)[0]
    assert np.allclose(np.exp(z - z[2]), [6, 3, 1])


def test_what_two_know_of_a_pair():
    known = common_knowledge(np.array([[0.5, 0.25, 0.25]]))[0]
    assert np.allclose(known, [[0, 1 / 3, 1 / 3], [1 / 3, 0, 1 / 4], [1 / 3, 1 / 4, 0]])


@pytest.mark.parametrize("correction", [0.0, 0.5, 1.0])
def test_against_least_squares_over_all_pairs(correction):
    """The oracle writes one equation for each teacher and pair, and asks for the best fit."""
    probs, weights = opinions(0)
    rule = PairwiseCoupling(correction=correction)
    made = rule.combine(probs, weights, FIVE).probs[0]
    b = np.maximum(probs.astype(np.float64).mean(axis=1), rule.least)
    b /= b.sum(axis=1, keepdims=True)
    for x in range(probs.shape[1]):
        left, right = [], []
        for k in range(len(probs)):
            p = probs[k, x].astype(np.float64)
            logits = np.log(np.maximum(p / p.sum(), rule.floor)) - correction * np.log(b[k])
            for c in range(5):
                for d in range(c):
                    v = 2 / (1 / b[k, c] + 1 / b[k, d])
                    root = np.sqrt(weights[k, x] * v)
                    row = np.zeros(5)
                    row[c], row[d] = root, -root
                    left.append(row)
                    right.append(root * (logits[c] - logits[d]))
        z = np.linalg.lstsq(np.array(left), np.array(right), rcond=None)[0]
        expected = np.exp(z - z.max())
        assert np.allclose(made[x], expected / expected.sum(), atol=1e-6)


def test_teachers_who_name_labels_equally_often_have_the_mean_of_logits():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([2.0] * 5, size=(3, 30))
    probs = np.concatenate([np.roll(probs, shift, axis=2) for shift in range(5)], axis=1)
    weights = rng.gamma(1.0, size=probs.shape[:2])
    floor = 1e-9
    one = PairwiseCoupling(floor=floor, correction=1.0).combine(probs, weights, FIVE)
    other = GeometricMean(floor=floor).combine(probs, weights, FIVE)
    assert np.allclose(one.probs, other.probs, atol=1e-6)


def test_clients_who_each_know_two_labels_make_one_that_knows_five():
    """Each sees evidence of two neighbouring labels, noise for the others, and doubts those."""
    rng = np.random.default_rng(2)
    truth = rng.integers(5, size=400)
    evidence = rng.normal(0, 1, (400, 5)) + 3 * np.eye(5)[truth]
    probs = []
    for first in range(4):
        seen, held = rng.normal(0, 1, (400, 5)), np.full(5, 0.01)
        seen[:, [first, first + 1]] = evidence[:, [first, first + 1]]
        held[[first, first + 1]] = 0.5
        rows = np.exp(seen) * held
        probs.append(rows / rows.sum(axis=1, keepdims=True))

    def hits(rule):
        made = rule.combine(np.stack(probs), np.ones((4, 400)), FIVE).probs[0]
        return (made.argmax(axis=1) == truth).mean()

    assert max(hits(Mean()), hits(GeometricMean())) < 0.7
    assert min(hits(PairwiseCoupling(correction=tau, least=0.01)) for tau in (0.0, 1.0)) > 0.85


def test_a_correction_takes_the_frequencies_of_a_shard_away():
    """One teacher whose evidence is multiplied by its prior, which its answers show."""
    rng = np.random.default_rng(3)
    likely = np.exp(0.3 * rng.normal(size=(4000, 3)))
    prior = np.array([0.7, 0.2, 0.1])
    probs = likely * prior / (likely * prior).sum(axis=1, keepdims=True)
    made = PairwiseCoupling(correction=1.0).combine(probs[None], np.ones((1, 4000)), THREE).probs[0]
    assert np.abs(made.mean(axis=0) - 1 / 3).max() < 0.02
    plain = PairwiseCoupling().combine(probs[None], np.ones((1, 4000)), THREE).probs[0]
    assert np.allclose(plain, probs, atol=1e-6)


def test_blocks_are_nobodys_business(monkeypatch):
    probs, weights = opinions(4)
    whole = PairwiseCoupling().combine(probs, weights, FIVE).probs
    monkeypatch.setattr(pairwise_coupling, "_NUMBERS", 100)
    assert np.allclose(PairwiseCoupling().combine(probs, weights, FIVE).probs, whole, atol=1e-7)


def test_too_many_labels_are_refused_in_one_line():
    many = LabelGeometry.discrete([str(c) for c in range(257)])
    with pytest.raises(ConfigError, match="at most 256 labels, here are 257; write"):
        PairwiseCoupling().combine(np.full((1, 1, 257), 1 / 257), np.ones((1, 1)), many)
