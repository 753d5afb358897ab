"""Path lengths against scipy's shortest paths, and what is no tree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from common.trees import path_lengths


@settings(max_examples=50)
@given(st.integers(2, 15), st.integers(0, 10_000))
def test_lengths_are_those_of_shortest_paths(size, seed):
    rng = np.random.default_rng(seed)
    parents = [int(rng.integers(i)) for i in range(1, size)]
    table = np.zeros((size, size))
    edges = []
    for child, parent in enumerate(parents, 1):
        table[child, parent] = length = float(rng.uniform(0.1, 3))
        edges.append((f"n{parent}", f"n{child}", length))
    turned = [(b, a, length) if rng.random() < 0.5 else (a, b, length) for a, b, length in edges]
    mixed = [turned[i] for i in rng.permutation(len(turned))]
    chosen = rng.permutation(size)[: max(2, size // 2)]
    expected = shortest_path(table, directed=False)[np.ix_(chosen, chosen)]
    made = path_lengths([f"n{i}" for i in chosen], mixed)
    assert made == pytest.approx(expected)
    assert np.array_equal(made, made.T)


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ([("a", "b", 1), ("b", "c", 1), ("c", "a", 1)], "'c' to 'a' closes a cycle"),
        ([("a", "b", 1), ("b", "a", 1), ("b", "c", 1)], "'b' to 'a' closes a cycle"),
        ([("a", "a", 1)], "'a' to 'a' closes a cycle"),
        ([("a", "b", 1), ("c", "d", 1)], "no path leads from 'a' to 'c'"),
        ([("a", "b", 1), ("b", "c", 1), ("x", "y", 1)], "no path leads from 'a' to 'x'"),
        ([("a", "b", 1)], "the label 'c' is in none of them"),
        ([], "the label 'a' is in none of them"),
        ([("a", "b", 0), ("b", "c", 1)], "'a' to 'b' needs a length above 0, got 0"),
        ([("a", "b", -1), ("b", "c", 1)], "got -1"),
        ([("a", "b", float("nan")), ("b", "c", 1)], "got nan"),
        ([("a", "b", float("inf")), ("b", "c", 1)], "got inf"),
    ],
)
def test_what_is_no_tree_is_refused(edges, says):
    with pytest.raises(ValueError, match=f"^edges: .*{says}"):
        path_lengths("abc", edges)
