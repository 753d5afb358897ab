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


def by_comparing_all(texts, sources, near):
    """Document ids by comparing every pair and walking the graph."""
    size = len(texts)

    def alike(i, j):
        one, other = (re.findall(r"[^\W_]+", text.lower()) for text in (texts[i], texts[j]))
        return (
            (sources[i] is not None and sources[i] == sources[j])
            or ("".join(one) != "" and "".join(one) == "".join(other))
            or (texts[i].split() != [] and texts[i].split() == texts[j].split())
            or (near and jaccard(texts[i], texts[j]) >= 0.8 - 1e-9)
        )

    ids = [-1] * size
    for start in range(size):
        if ids[start] < 0:
            ids[start], stack = max(ids) + 1, [start]
            while stack:
                here = stack.pop()
                for other in range(size):
                    if ids[other] < 0 and alike(here, other):
                        ids[other] = ids[start]
                        stack.append(other)
    return ids


@given(st.data(), st.booleans())
def test_documents_are_the_connected_parts(data, near):
    pieces = st.sampled_from(["a", "b", "c", "d", "e", "f", "!", "?"])
    texts = data.draw(st.lists(st.lists(pieces, max_size=7).map(" ".join), max_size=12))
    names = st.lists(st.sampled_from([None, "x", "y"]), min_size=len(texts), max_size=len(texts))
    sources = data.draw(names)
    assert unite(texts, sources, near=near).tolist() == by_comparing_all(texts, sources, near)


def test_empty_texts_are_documents_of_their_own():
    assert unite(["", " ", "", ":)", ":)"], [None] * 5).tolist() == [0, 1, 2, 3, 3]
