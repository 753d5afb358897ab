"""Intervals of paired differences, against scipy.stats and the closure principle."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulations.comparing.paired import ALPHA, differences, half_width, holm, t_test

values = st.lists(st.floats(-2, 2).map(lambda x: round(x, 6)), min_size=2, max_size=8)
chances = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def closed_test(tests, alpha):
    """Which hypotheses fall: all intersections that hold one do, each by Bonferroni."""
    every = range(len(tests))
    groups = [g for size in every for g in combinations(every, size + 1)]
    falls = {group: min(tests[i] for i in group) * len(group) <= alpha for group in groups}
    return [all(fallen for group, fallen in falls.items() if i in group) for i in every]


@given(values)
def test_p_is_that_of_scipy(gaps):
    if np.std(gaps) < 1e-9:
        assert t_test(gaps) == pytest.approx(float(not any(gaps)), abs=1e-9)
        return
    assert t_test(gaps) == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, rel=1e-8, abs=1e-12)
    paired = stats.ttest_rel(gaps, np.zeros(len(gaps))).pvalue
    assert t_test(gaps) == pytest.approx(paired, rel=1e-8, abs=1e-12)


@given(values, st.floats(1e-4, 0.5))
def test_the_interval_is_that_of_scipy(gaps, level):
    if np.std(gaps) < 1e-9:
        return
    low, high = stats.t.interval(1 - level, len(gaps) - 1, np.mean(gaps), stats.sem(gaps))
    assert 2 * half_width(gaps, level) == pytest.approx(high - low, rel=1e-8)


def test_holm_by_hand():
    adjusted = [a for a, _ in holm([0.03, 0.01, 0.05, 0.02, 0.04])]
    assert adjusted == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    levels = [level for _, level in holm([0.03, 0.01, 0.05, 0.02, 0.04])]
    # .01 passes 5 % / 5, .02 fails 5 % / 4, and nothing after it is looked at again.
    assert levels == pytest.approx([0.0125, 0.01, 0.0125, 0.0125, 0.0125])


@given(chances)
def test_holm_is_the_closure_of_bonferroni(tests):
    made = holm(tests)
    near = any(abs(a - ALPHA) < 1e-9 for a, _ in made)
    if not near:
        assert [a <= ALPHA for a, _ in made] == closed_test(tests, ALPHA)
        assert [p <= level for p, (_, level) in zip(tests, made, strict=True)] == [
            a <= ALPHA for a, _ in made
        ]


@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_an_interval_leaves_out_zero_where_holm_rejects(measured):
    for found in differences(measured):
        if abs(found.p_holm - ALPHA) > 1e-6 and np.std(found.values) > 1e-6:
            assert (found.lower or found.higher) == (found.p_holm < ALPHA)


def test_one_seed_has_no_interval():
    (found,) = differences([[-0.02]])
    assert (found.p, found.half_width, found.lower, found.higher) == (None, None, False, False)
    assert str(found) == "-0.020"


def test_equal_and_constant_differences():
    same, shifted = differences([[0.0, 0.0, 0.0], [-0.5, -0.5, -0.5]])
    assert same.is_zero
    assert same.p_holm == 1
    assert (same.lower, same.higher) == (False, False)
    assert shifted.lower
    assert shifted.p_holm == 0
    assert differences([]) == []


def test_more_comparisons_make_wider_intervals():
    gaps = [-0.03, -0.01, -0.02]
    alone, among = differences([gaps])[0], differences([gaps] * 8)[0]
    assert among.half_width > alone.half_width
    assert alone.level == ALPHA
    assert among.level == ALPHA / 8
