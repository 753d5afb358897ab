import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulations.datasets._documents import near_duplicates, unite

words = st.lists(st.sampled_from("abcdefgh"), max_size=9)
corpora = st.lists(words.map(" ".join), max_size=14)


def jaccard(one: str, other: str) -> float:
    a, b = (set(re.findall(r"[^\W_]+", text.lower())) for text in (one, other))
    return len(a & b) / len(a | b) if a and b else 0.0


@given(corpora, st.sampled_from([0.5, 0.6, 0.8, 1.0]))
def test_no_pair_is_missed_and_none_invented(texts, threshold):
    expected = {
        (i, j)
        for j in range(len(texts))
        for i in range(j)
        if jaccard(texts[i], texts[j]) >= threshold - 1e-9
    }
    found = list(near_duplicates(texts, threshold))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_letters_and_digits_decide():
    texts = ["Good-bye, 2 u!", "goodbye 2u", "good bye", ":)", ":("]
    assert unite(texts, range(5)).tolist() == [0, 0, 1, 2, 3]


def test_one_source_is_one_document():
    texts = ["one thing", "another matter", "something else"]
    assert unite(texts, ["review 1", "review 2", "review 1"]).tolist() == [0, 1, 0]


def test_chains_are_followed():
    texts = ["a b c d e", "z", "a b c d e f", "a b c d e f g"]
    # 5/6 and 6/7 are near, 5/7 alone would not be.
    assert unite(texts, range(4)).tolist() == [0, 1, 0, 0]


@given(corpora)
def test_ids_count_up_in_order_of_appearance(texts):
    ids = unite(texts, range(len(texts)))
    _, first = np.unique(ids, return_index=True)
    assert ids[np.sort(first)].tolist() == list(range(len(first)))
