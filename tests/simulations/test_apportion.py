import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.apportion import apportion

weights = st.lists(st.floats(0, 1e6), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-3)


@pytest.mark.parametrize(
    ("parts", "total", "expected"),
    [
        # Three parties with 47 %, 16 % and so on share 10 seats: the textbook example.
        ([47_000, 16_000, 15_900, 12_000, 6_000, 3_100], 10, [5, 2, 1, 1, 1, 0]),
        ([1, 1, 1], 4, [2, 1, 1]),  # a tie goes to the earlier share
        ([2000] * 4, 200, [50] * 4),
        ([0, 3], 5, [0, 5]),
        ([1, 2], 0, [0, 0]),
    ],
)
def test_known_tables(parts, total, expected):
    assert apportion(np.array(parts), total).tolist() == expected


@given(weights, st.integers(0, 100_000))
def test_the_sum_is_exact_and_no_share_is_off_by_one(parts, total):
    shares = apportion(np.array(parts), total)
    assert shares.sum() == total
    assert np.all(shares >= 0)
    exact = total * np.array(parts) / np.sum(parts)
    assert np.all(np.abs(shares - exact) < 1 + 1e-6)
