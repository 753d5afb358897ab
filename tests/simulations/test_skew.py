from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import jaccard
from scipy.stats import entropy, wasserstein_distance
from sklearn.feature_extraction.text import CountVectorizer

from clients.words import words
from common.labels import LabelGeometry
from simulations.datasets._documents import near_duplicates
from simulations.skew import (
    copies,
    effective_labels,
    label_transport,
    label_tv,
    size_gini,
    vocabulary_overlap,
)

COUNTS = st.lists(
    st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any), min_size=1, max_size=8
).map(np.array)
PLACES = [-2.2, -1.0, 0.5, 3.0]
LINE = LabelGeometry.ordinal("abcd", PLACES)
TEXTS = st.lists(
    st.lists(st.sampled_from("abcdefgh"), max_size=7).map(" ".join), min_size=1, max_size=12
)


@given(COUNTS)
def test_total_variation_is_the_largest_gap_of_any_event(counts):
    shares, overall = counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=0) / counts.sum()
    events = [list(e) for size in range(5) for e in combinations(range(4), size)]
    exact = [max(abs(row[e].sum() - overall[e].sum()) for e in events) for row in shares]
    assert label_tv(counts) == pytest.approx(exact)


@given(COUNTS)
def test_transport_on_a_line_is_scipys(counts):
    overall = counts.sum(axis=0)
    exact = [wasserstein_distance(PLACES, PLACES, row, overall) for row in counts]
    assert label_transport(counts, LINE) == pytest.approx(exact, abs=1e-12)


def test_transport_off_the_line_is_a_linear_programme():
    rng = np.random.default_rng(0)
    geometry = LabelGeometry.at_points("abcd", rng.normal(size=(4, 2)))
    counts = rng.integers(0, 30, (5, 4))
    overall = counts.sum(axis=0) / counts.sum()
    sums = np.vstack([np.kron(np.eye(4), np.ones(4)), np.kron(np.ones(4), np.eye(4))])
    exact = [
        linprog(geometry.cost.ravel(), A_eq=sums, b_eq=np.r_[row / row.sum(), overall]).fun
        for row in counts
    ]
    assert label_transport(counts, geometry) == pytest.approx(exact, abs=1e-9)


def test_where_all_labels_are_equally_far_both_are_the_same():
    counts = np.random.default_rng(0).integers(0, 9, (6, 4)) + 1
    geometry = LabelGeometry.discrete("abcd")
    assert label_transport(counts, geometry) == pytest.approx(label_tv(counts))


@given(COUNTS)
def test_effective_labels_are_scipys_entropy(counts):
    exact = np.exp(entropy(counts, axis=1))
    assert effective_labels(counts) == pytest.approx(exact)
    assert effective_labels(np.array([[7, 7, 7, 7], [3, 0, 0, 0]])) == pytest.approx([4, 1])


def test_an_empty_client_and_no_rows_at_all():
    counts = np.array([[0, 0, 0, 0], [3, 1, 0, 2]])
    assert (
        label_tv(counts)[0] == label_transport(counts, LINE)[0] == effective_labels(counts)[0] == 0
    )
    assert label_tv(np.zeros((2, 4), int)).tolist() == [0, 0]
    assert size_gini(np.zeros(3, int)) == 0


@given(st.lists(st.integers(0, 100), min_size=1, max_size=15).filter(any))
def test_gini_is_the_mean_difference_of_all_pairs(sizes):
    sizes = np.array(sizes)
    exact = np.abs(sizes[:, None] - sizes).mean() / 2 / sizes.mean()
    assert size_gini(sizes) == pytest.approx(exact, abs=1e-12)


def test_gini_at_its_ends():
    assert size_gini(np.array([5, 5, 5, 5])) == 0
    assert size_gini(np.array([0, 0, 0, 9])) == pytest.approx(0.75)


@given(st.lists(TEXTS, min_size=1, max_size=5), TEXTS)
def test_vocabulary_overlap_is_the_jaccard_index_of_scipy(clients, transfer):
    made = vocabulary_overlap(clients, transfer)
    reader = CountVectorizer(vocabulary=list("abcdefgh"), token_pattern="[a-h]", binary=True)

    def held(texts):
        return reader.transform(texts).toarray().any(axis=0)

    for client, texts in enumerate(clients):
        rest = [text for k, others in enumerate(clients) if k != client for text in others]
        for other, found in ((transfer, made.transfer), (rest, made.rest)):
            mine, theirs = held(texts), held(other) if other else np.zeros(8, bool)
            exact = 1 - jaccard(mine, theirs) if (mine | theirs).any() else 0.0
            assert found[client] == pytest.approx(exact)


@given(TEXTS, TEXTS)
def test_copies_are_those_found_pair_by_pair(texts, among):
    made = copies(texts, among)
    theirs = [words(text) for text in among]
    assert made.exact == sum(words(text) in theirs for text in texts)

    def alike(one, other):
        return bool(one | other) and len(one & other) >= 0.8 * len(one | other) - 1e-9

    sets = [set(row) for row in theirs]
    assert made.near == sum(any(alike(set(words(text)), s) for s in sets) for text in texts)


def test_copies_agree_with_the_prefix_filter():
    rng = np.random.default_rng(0)
    base = [list(rng.integers(0, 300, 10)) for _ in range(150)]
    changed = [[*row[:-1], 300 + i] if i % 3 else row for i, row in enumerate(base)]
    texts, among = (
        [" ".join(f"w{n}" for n in row) for row in rows] for rows in (base, changed[:90])
    )
    pairs = near_duplicates([*texts, *among])
    exact = {one for one, other in pairs if one < 150 <= other}
    found = copies(texts, among)
    assert found.near == len(exact) > 80
    assert found.exact == 30


def test_nothing_is_a_copy_of_nothing():
    assert copies([], ["a"]) == copies(["a"], []) == copies([], [])
    assert copies(["a"], []).near == 0
    assert copies(["!!", ""], ["?", "..."]).near == 0
