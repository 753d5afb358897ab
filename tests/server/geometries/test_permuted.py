"""The control: the same distances, never the same geometry."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr

from common.failures import ConfigError
from common.labels import LabelGeometry
from server.geometries.permuted import Permuted

GRADES = LabelGeometry.ordinal(list("abcde"), (-2.2, -1, 0, 1, 2.2))


def order_of(labels: LabelGeometry, made: LabelGeometry) -> list[int]:
    return [int(np.flatnonzero((labels.points == point).all(axis=1))[0]) for point in made.points]


@settings(max_examples=40)
@given(
    st.lists(st.integers(-50, 50), min_size=3, max_size=8, unique=True),
    st.integers(0, 1000),
)
def test_a_line_is_neither_kept_nor_turned_round(line, seed):
    labels = LabelGeometry.ordinal([str(x) for x in sorted(line)], sorted(line))
    made = Permuted(seed=seed).build(labels)
    order = order_of(labels, made)
    assert not made.is_line
    assert order != list(reversed(range(len(labels))))
    assert all(i != place for i, place in enumerate(order))
    assert not np.allclose(made.cost, labels.cost)
    assert sorted(made.cost.ravel()) == sorted(labels.cost.ravel())


@settings(max_examples=40)
@given(st.integers(3, 7), st.integers(0, 1000), st.integers(1, 4))
def test_any_costs_that_are_not_all_alike_have_a_control(size, seed, levels):
    """Also with so few different costs that many orders change nothing."""
    drawn = np.random.default_rng(seed).integers(1, levels + 1, size=(size, size)).astype(float)
    cost = np.triu(drawn, 1) + np.triu(drawn, 1).T
    assume(len(np.unique(cost)) > 2)
    labels = LabelGeometry.from_matrix([str(i) for i in range(size)], cost)
    assert not np.array_equal(Permuted().build(labels).cost, labels.cost)


def test_the_default_is_fixed_and_neutral():
    made = Permuted().build(GRADES)
    assert order_of(GRADES, made) == [3, 2, 1, 4, 0]
    assert abs(pearsonr(squareform(made.cost), squareform(GRADES.cost)).statistic) < 0.1
    orders = {tuple(order_of(GRADES, Permuted(seed=s).build(GRADES))) for s in range(9)}
    assert len(orders) > 1


def test_an_order_of_ones_own():
    made = Permuted((1, 0, 2, 3, 4)).build(GRADES)
    assert made.points[:, 0].tolist() == [-1, -2.2, 0, 1, 2.2]


@pytest.mark.parametrize("names", ["ab", "abcd"])
def test_labels_equally_far_apart_have_no_control(names):
    with pytest.raises(ConfigError, match="equally far apart have no permuted control"):
        Permuted().build(LabelGeometry.discrete(list(names)))
    with pytest.raises(ConfigError, match="equally far apart"):
        Permuted().build(LabelGeometry.ordinal(["no", "yes"]))


def test_a_lopsided_line_turned_round_is_refused_too():
    lopsided = LabelGeometry.ordinal("abc", (0, 1, 5))
    with pytest.raises(ConfigError, match=r"server\.geometry\.order: this one changes no distance"):
        Permuted((2, 1, 0)).build(lopsided)
