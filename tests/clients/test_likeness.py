from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import likeness
from clients.likeness import family_sizes

sets = st.lists(st.lists(st.sampled_from("abc"), max_size=5).map(tuple), unique=True, max_size=30)


def by_hand(texts):
    """Templates as they are, by slicing; no hashes, no running sums."""
    own = [{t, *(t[:i] + t[i + 1 :] for i in range(len(t)))} for t in texts]
    counts = Counter((len(t), t) for templates in own for t in templates)
    return [max(counts[len(t), t] for t in templates) for templates in own]


def one_word_apart(one, other):
    """Replaced, added, left out or moved: the definition, on pairs."""
    if abs(len(one) - len(other)) > 1:
        return False
    less = {one[:i] + one[i + 1 :] for i in range(len(one))}
    more = {other[:i] + other[i + 1 :] for i in range(len(other))}
    return one in more or other in less or bool(less & more)


@given(sets)
def test_sizes_are_those_of_slices(texts):
    made = family_sizes(texts)
    assert made.tolist() == by_hand(texts)
    assert made.dtype == np.int64


@given(sets)
def test_who_is_alone_differs_from_everybody_by_more_than_a_word(texts):
    for size, one in zip(family_sizes(texts), texts, strict=True):
        others = [other for other in texts if other != one]
        assert (size > 1) == any(one_word_apart(one, other) for other in others)


@given(sets, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(texts, random):
    mixed = random.sample(texts, len(texts))
    was = dict(zip(texts, family_sizes(texts), strict=True))
    assert dict(zip(mixed, family_sizes(mixed), strict=True)) == was


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_families_reach_over_chunks(monkeypatch, chunk):
    rng = np.random.default_rng(0)
    texts = list({tuple(rng.choice(list("abcd"), size=rng.integers(1, 6))) for _ in range(200)})
    expected = family_sizes(texts)
    monkeypatch.setattr(likeness, "_CHUNK", chunk)
    assert np.array_equal(family_sizes(texts), expected)


def test_texts_of_all_lengths_have_templates():
    texts = [tuple(f"w{n}" for n in range(length)) for length in range(65)]
    assert family_sizes(texts).tolist() == [2] * 65
