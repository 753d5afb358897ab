"""The bias of a teacher: by hand, by counting, and as a distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.biases import biased_towards, opinions_of_bias

SAID = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]], dtype=np.float32)


def test_by_hand() -> None:
    # The first label wins two of three texts, the second one, the third none; each counted once
    # more: 3, 2, 1 of 6.
    assert biased_towards(SAID, "argmax").tolist() == [3 / 6, 2 / 6, 1 / 6]
    assert biased_towards(SAID, "mean") == pytest.approx([1.3 / 3, 1.4 / 3, 0.3 / 3])


def test_of_level_labels_the_first_wins() -> None:
    assert biased_towards(np.full((1, 2), 0.5), "argmax").tolist() == [2 / 3, 1 / 3]


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_by_counting(texts: int, labels: int, seed: int) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(labels), size=texts)
    wins = [0] * labels
    for row in probs:
        wins[max(range(labels), key=lambda c: (row[c], -c))] += 1
    made = biased_towards(probs, "argmax")
    assert made == pytest.approx([(1 + n) / (texts + labels) for n in wins])
    assert made.min() > 0


@pytest.mark.parametrize("how", ["mean", "argmax"])
def test_it_is_the_mean_of_distributions_and_one_itself(how) -> None:
    rows = opinions_of_bias(SAID, how)
    assert rows.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert biased_towards(SAID, how).dtype == np.float64
    assert biased_towards(SAID, how).sum() == pytest.approx(1)
