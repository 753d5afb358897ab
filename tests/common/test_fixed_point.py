import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.fixed_point import MOST_PARTIES, SCALE, from_words, to_words


def rows(rng, n, c):
    return rng.dirichlet(np.full(c, 0.3), size=n)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_the_sum_of_words_is_the_plain_sum_of_integers(parties, n, c, seed):
    rng = np.random.default_rng(seed)
    each = [
        to_words(rows(rng, n, c), rng.uniform(2.0**-10, 1, n), parties, whole=True)
        for _ in range(parties)
    ]
    total = np.zeros((n, c + 2), dtype=np.uint32)
    for words in each:
        total += words
    plain = [[sum(int(w[i, j]) for w in each) for j in range(c + 2)] for i in range(n)]
    assert total.tolist() == plain
    assert (total[:, :c].sum(axis=1, dtype=np.int64) == total[:, c]).all()
    assert (total[:, c + 1] == parties).all()


def test_by_hand():
    words = to_words(np.array([[0.5, 0.25, 0.25], [1, 0, 0]]), np.array([1.0, 0.5]), 2, whole=True)
    half = SCALE // 2
    assert words.tolist() == [[half, half // 2, half // 2, SCALE, 1], [half, 0, 0, half, 1]]
    assert words.dtype == np.uint32


def test_what_is_left_over_goes_to_the_largest_remainders_and_ties_down():
    words = to_words(np.full((1, 3), 1 / 3), np.array([4 / SCALE]), 1, whole=True)
    assert words.tolist() == [[2, 1, 1, 4, 1]]


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_mean_is_off_by_no_more_than_said(parties, seed):
    """Each word by less than a unit, each weight by half a unit: 2 K / (2^20 sum of weights)."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), size=(parties, 3))
    weights = rng.uniform(2.0**-10, 1, (parties, 3))
    total = sum(
        to_words(p, w, parties, whole=True).astype(np.int64)
        for p, w in zip(probs, weights, strict=True)
    )
    sums = from_words(total.astype(np.uint32))
    mean = (weights[:, :, None] * probs).sum(axis=0) / weights.sum(axis=0)[:, None]
    bound = 2 * parties / (SCALE * weights.sum(axis=0))
    assert (np.abs(sums.values - mean).max(axis=1) <= bound).all()
    assert np.abs(sums.weights - weights.sum(axis=0)).max() <= parties / 2 / SCALE
    assert (sums.contributors == parties).all()


@pytest.mark.parametrize(
    "weight", [1 + 2**-8, 1e12, float("inf"), 2.0**12], ids=["little", "huge", "inf", "4096"]
)
def test_what_might_not_fit_is_not_sent(weight):
    with pytest.raises(OverflowError):
        to_words(np.full((2, 2), 0.5), np.array([1, weight]), MOST_PARTIES, whole=True)


def test_as_many_as_fit():
    probs, ones = np.array([[1.0, 0.0]]), np.ones(1)
    assert to_words(probs, ones, MOST_PARTIES, whole=True)[0, 0] == SCALE
    assert MOST_PARTIES * SCALE < 2**32
    with pytest.raises(OverflowError):
        to_words(probs, ones, MOST_PARTIES + 1, whole=True)


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ([[0.5, float("nan")]], [1.0]),
        ([[0.5, -0.5]], [1.0]),
        ([[0.5, float("inf")]], [1.0]),
        ([[0.5, 0.5]], [float("nan")]),
        ([[0.5, 0.5]], [0.0]),
        ([[0.5, 0.5]], [-1.0]),
        ([[0.5, 0.5]], [1.0, 1.0]),
        ([0.5, 0.5], [1.0]),
    ],
)
def test_what_is_no_number_in_its_range_is_not_sent(values, weights):
    with pytest.raises(ValueError, match="values"):
        to_words(np.array(values), np.array(weights), 2, whole=True)


def test_a_text_without_weight_has_no_mean():
    sums = from_words(np.array([[0, 0, 0, 0]], dtype=np.uint32))
    assert (sums.values.tolist(), sums.weights.tolist()) == ([[0, 0]], [0])
