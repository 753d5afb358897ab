from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulations.filling import fill, largest_sum


@given(st.lists(st.integers(1, 9), max_size=9), st.integers(0, 40))
def test_the_subset_sum_agrees_with_trying_all_subsets(sizes, target):
    sums = {
        sum(sizes[i] for i in chosen)
        for count in range(len(sizes) + 1)
        for chosen in combinations(range(len(sizes)), count)
    }
    chosen = largest_sum(sizes, target)
    assert len(set(chosen)) == len(chosen)
    assert sum(sizes[i] for i in chosen) == max(s for s in sums if s <= target)


@given(st.data())
def test_documents_stay_whole_and_quotas_are_never_exceeded(data):
    rows = data.draw(st.integers(1, 60))
    column = st.lists(st.integers(0, 12), min_size=rows, max_size=rows)
    documents = np.array(data.draw(column))
    groups = np.array(data.draw(column)) % 3
    quotas = [np.array(data.draw(st.tuples(*[st.integers(0, 10)] * 3))) for _ in range(3)]
    parts = fill(documents, groups, quotas, np.random.default_rng(0))
    owners = [set(documents[part]) for part in parts]
    assert not any(one & other for one, other in combinations(owners, 2))
    for part, owned, quota in zip(parts, owners, quotas, strict=True):
        assert np.array_equal(part, np.flatnonzero(np.isin(documents, list(owned))))
        assert np.all(np.bincount(groups[part], minlength=3) <= quota)


def test_quotas_are_hit_exactly_where_whole_documents_can():
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(300), rng.integers(1, 30, 300))
    groups = documents % 2
    quotas = [np.array([400, 300]), np.array([50, 50]), np.array([37, 41])]
    for seed in range(20):
        parts = fill(documents, groups, quotas, np.random.default_rng(seed))
        for part, quota in zip(parts, quotas, strict=True):
            assert np.bincount(groups[part]).tolist() == quota.tolist()


def test_what_is_impossible_is_missed_by_as_little_as_possible():
    documents = np.repeat(np.arange(10), 4)
    parts = fill(documents, np.zeros(40, int), [np.array([10])], np.random.default_rng(0))
    assert len(parts[0]) == 8


def test_documents_that_span_groups_come_close():
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(1000), 10)
    groups = rng.integers(0, 4, 10_000)
    sizes = np.bincount(groups)
    parts = fill(documents, groups, [sizes // 4, sizes // 5], rng)
    for part, quota in zip(parts, [sizes // 4, sizes // 5], strict=True):
        assert np.all(np.bincount(groups[part]) >= 0.97 * quota)


def test_every_document_has_the_same_chance():
    documents = np.arange(40)
    hits = np.zeros(40)
    for seed in range(400):
        (part,) = fill(documents, documents % 2, [np.array([5, 5])], np.random.default_rng(seed))
        hits[part] += 1
    # 400 draws at 1/4: 100 on average, standard deviation 8.7.
    assert np.all(np.abs(hits - 100) < 4.5 * 8.7)
