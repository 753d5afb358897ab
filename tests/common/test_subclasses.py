import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.labels import LabelGeometry
from common.quantise import BITS, to_codes, to_probs
from common.subclasses import merged, merged_codes, refined, split_codes

GRADES = LabelGeometry.ordinal(("bad", "fair", "good"))


@given(st.integers(0, 2**32 - 1), st.sampled_from(BITS), st.integers(2, 5), st.integers(1, 6))
def test_the_codes_of_a_label_are_shared_out_exactly(seed, bits, labels, count):
    """Whoever sums them has what would have crossed without subclasses."""
    rng = np.random.default_rng(seed)
    codes = to_codes(rng.dirichlet(np.full(labels, 0.3), size=7), bits)
    shares = rng.dirichlet(np.full(count, 0.3), size=(7, labels))
    split = split_codes(codes, shares)
    assert split.shape == (7, labels * count)
    assert split.dtype == np.uint16
    assert np.array_equal(merged_codes(split, count), codes)
    assert np.all(np.abs(split.reshape(7, labels, count) - codes[:, :, None] * shares) < 1)


def test_by_hand():
    """5 codes in halves: the lower gets the odd one; 10 in .56 .24 .2: floors 5 2 2, then .6."""
    shares = np.array([[0.5, 0.5, 0.0], [0.56, 0.24, 0.2]])
    assert split_codes(np.array([5, 10]), shares).tolist() == [3, 2, 0, 6, 2, 2]


def test_shares_need_no_scale_and_nothing_known_is_an_even_split():
    shares = np.array([[3.0, 1.0], [0.0, 0.0]])
    assert split_codes(np.array([8, 7]), shares).tolist() == [6, 2, 4, 3]


def test_probabilities_merge_as_codes_do():
    codes = split_codes(np.array([[200, 55]]), np.ones((1, 2, 4)))
    np.testing.assert_allclose(merged(to_probs(codes, 8), 4), [[200 / 255, 55 / 255]], atol=1e-7)


@pytest.mark.parametrize("within", [0.0, 0.5])
def test_transport_is_that_of_labels_and_what_moves_within_them(within):
    """Against POT on the refined cost: the sum of two closed forms."""
    fine, rng = refined(GRADES, 3, within), np.random.default_rng(0)
    for _ in range(20):
        q, p = rng.dirichlet(np.full(9, 0.4), size=2)
        labels = ot.emd2(*(x.reshape(3, 3).sum(axis=1) for x in (q, p)), GRADES.cost)
        apart = np.abs(q - p).sum() / 2
        assert ot.emd2(q, p, fine.cost) == pytest.approx(labels + within * apart, abs=1e-9)


def test_a_refined_geometry():
    fine = refined(GRADES, 2, 0.5)
    assert fine.names == ("bad/0", "bad/1", "fair/0", "fair/1", "good/0", "good/1")
    assert (fine.count, len(fine)) == (2, 6)
    assert fine.is_metric
    assert fine.cost[0].tolist() == [0, 0.5, 1.5, 1.5, 2.5, 2.5]
    assert np.array_equal(fine.points[:, 0], [0, 0, 1, 1, 2, 2])
    assert np.array_equal(refined(GRADES, 1).cost, GRADES.cost)
