import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common import confidence
from common.confidence import LEAST, MOST_EXAMPLES, RULES, claims


def drawn(seed, n=40, c=5, spread=0.3):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(c, spread), n), rng.dirichlet(np.full(c, 2.0))


def test_the_claims_are_those_of_others():
    probs, bias = drawn(0)
    assert np.allclose(confidence.distance_l2(probs, bias), np.linalg.norm(probs - bias, axis=1))
    shannon = 1 - stats.entropy(probs, axis=1) / np.log(5)
    assert np.allclose(confidence.redundancy(probs), shannon)
    assert np.allclose(confidence.variance(probs), probs.var(axis=1))
    floored = np.maximum(probs, 1e-3)
    assert np.allclose(confidence.log_variance(probs), np.log(floored).var(axis=1))
    ordered = np.sort(probs, axis=1)
    assert np.allclose(confidence.margin(probs), ordered[:, -1] - ordered[:, -2])
    p, m = np.maximum(probs, 1e-3), np.maximum(bias, 1e-3)
    jeffreys = ((p - m) * np.log(p / m)).sum(axis=1) / 2
    assert np.allclose(confidence.distance_symmetric_kl(probs, bias), jeffreys)


@settings(max_examples=30)
@given(st.sampled_from(sorted(RULES)), st.integers(0, 1000), st.integers(2, 9))
def test_no_claim_is_beyond_the_most(rule, seed, classes):
    """Random rows, certain ones and even ones; biases at a corner too."""
    rng = np.random.default_rng(seed)
    sharp = rng.dirichlet(np.full(classes, 0.05), 30)
    probs = np.vstack([sharp, np.eye(classes), np.full((1, classes), 1 / classes)])
    for bias in (rng.dirichlet(np.ones(classes)), np.eye(classes)[0]):
        raw = RULES[rule].claim(probs, bias, MOST_EXAMPLES)
        assert (raw >= 0).all()
        assert (raw <= RULES[rule].most(classes) * (1 + 1e-12)).all()
        claimed = claims(rule, probs, bias, MOST_EXAMPLES)
        assert ((claimed >= LEAST) & (claimed <= 1)).all()
        expected = np.clip(raw / RULES[rule].most(classes), LEAST, 1)
        assert np.array_equal(claimed, expected)


@pytest.mark.parametrize(
    ("rule", "bias"),
    [("uniform", 0), ("knot_l2", 1), ("entropy", 0), ("margin", 0), ("variance_probs", 0)],
)
def test_the_most_is_reached(rule, bias):
    probs = np.eye(4)[:1]
    assert claims(rule, probs, np.eye(4)[bias], None) == pytest.approx(1)


def test_sizes_are_clipped():
    probs, _ = drawn(1, n=2)
    sizes = (0, 1, 100, MOST_EXAMPLES, 10**7)
    assert [float(claims("size", probs, None, n)[0]) for n in sizes] == [
        LEAST,
        LEAST,
        100 / MOST_EXAMPLES,
        1,
        1,
    ]


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if rule.needs])
def test_what_is_needed_is_named(rule):
    with pytest.raises(ValueError, match=next(iter(RULES[rule].needs))):
        claims(rule, drawn(2)[0], None, None)
